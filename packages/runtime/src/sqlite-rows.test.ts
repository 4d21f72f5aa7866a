import fc from 'fast-check'
import { expect, test } from 'vitest'
import { packRows, unpackRows } from './sqlite-rows.ts'

const value = fc.oneof(fc.constant(null), fc.double(), fc.string({ unit: 'binary' }), fc.uint8Array())

test('packed rows: come out as they went in', () => {
  const rows = fc
    .nat(5)
    .chain((columns) => fc.array(fc.array(value, { minLength: columns, maxLength: columns })))
  fc.assert(
    fc.property(rows, (given) => {
      // Rows of no columns have nothing to come back by.
      expect(unpackRows(packRows(given))).toEqual(given.filter((row) => row.length > 0))
    }),
  )
})
