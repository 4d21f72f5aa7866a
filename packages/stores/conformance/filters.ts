import fc from 'fast-check'
import type { MetadataFilter } from '@aquifer/contracts/filter'
import type { Metadata, Scalar } from '@aquifer/contracts/types'

/** Few fields and values that lie close to each other, so that filters meet what they must tell apart. */
const field = fc.constantFrom('a', 'b', "c'", 'a=s', '日本|', '')
const number = fc.oneof(
  fc.constantFrom(0, 1, -1, 1.5, -1.5, 10, 9, 1e300, -1e300, 5e-324, 1_704_067_200_000),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
)
const string = fc.oneof(
  fc.constantFrom(
    '',
    'a',
    'ab',
    'b',
    'B',
    '1',
    '10',
    '9',
    'true',
    "it's",
    '|a=s1',
    '%',
    'é',
    'e\u0301',
    '😀',
    '\uffff',
    '\u0000',
    '2024-01-01',
    '2024-01-01T00:00:00Z',
    '2024-01-01T01:00:00+01:00',
    '2024-01-01 00:00:00.5Z',
    '2023-12-31T23:30:00-01:00',
    '1969-12-31T23:59:59Z',
    '2024-13-01',
    '2024-01-01T00:00:00',
  ),
  fc.string({ unit: 'binary', maxLength: 4 }),
)
const scalar: fc.Arbitrary<Scalar> = fc.oneof(number, string, fc.boolean())

export const anyMetadata: fc.Arbitrary<Metadata> = fc.dictionary(
  field,
  fc.oneof({ weight: 3, arbitrary: scalar }, { weight: 1, arbitrary: fc.array(scalar, { maxLength: 3 }) }),
  { noNullPrototype: true },
)

const comparison: fc.Arbitrary<MetadataFilter> = fc.oneof(
  fc.record({ field, op: fc.constant('eq' as const), value: scalar }),
  fc.record({ field, op: fc.constant('in' as const), value: fc.array(scalar, { maxLength: 4 }) }),
  fc.record({ field, op: fc.constantFrom('gt', 'gte', 'lt', 'lte'), value: fc.oneof(number, string) }),
  fc.record({ field, op: fc.constant('exists' as const) }),
  fc.record({ field, op: fc.constant('exists' as const), value: fc.boolean() }),
)

function nested(inner: fc.Arbitrary<MetadataFilter>): fc.Arbitrary<MetadataFilter> {
  return fc.oneof(
    comparison,
    fc.record({ not: inner }),
    fc.record({ and: fc.array(inner, { maxLength: 3 }) }),
    fc.record({ or: fc.array(inner, { maxLength: 3 }) }),
  )
}

/** Down to four levels. */
export const anyFilter = nested(nested(nested(comparison)))
