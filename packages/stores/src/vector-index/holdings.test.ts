import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createHoldings } from './holdings.ts'
import type { Point, PointSelector } from './port.ts'

const DOCUMENTS = ['a', 'b']
const VERSIONS = ['1', '2', '3']

const documentId = fc.constantFrom(...DOCUMENTS)
const version = fc.constantFrom(...VERSIONS)
const build = fc.constantFrom('x', 'y')
const bound = fc.option(version, { nil: undefined })
const given = <T extends object>(object: T): T => JSON.parse(JSON.stringify(object)) as T

const write = fc.record({
  kind: fc.constant('write' as const),
  points: fc.array(fc.record({ documentId, version, build }), { minLength: 1, maxLength: 3 }),
  fails: fc.boolean(),
})
const remove = fc.record({
  kind: fc.constant('delete' as const),
  selector: fc.record({
    documentId,
    version: fc.record({ eq: bound, lt: bound, lte: bound }),
    build: fc.record({ eq: fc.option(build, { nil: undefined }), ne: fc.option(build, { nil: undefined }) }),
  }),
})
/** The table is read at once; what it said is told of after so many further steps. */
const look = fc.record({ kind: fc.constant('look' as const), later: fc.nat(4) })

type Row = Pick<Point, 'documentId' | 'version' | 'build'>

function isNamed(
  { documentId: id, version: bounds, build: of }: Omit<PointSelector, 'tenant'>,
  row: Row,
): boolean {
  return (
    row.documentId === id &&
    (bounds?.eq === undefined || row.version === bounds.eq) &&
    (bounds?.lt === undefined || row.version < bounds.lt) &&
    (bounds?.lte === undefined || row.version <= bounds.lte) &&
    (of?.eq === undefined || row.build === of.eq) &&
    (of?.ne === undefined || row.build !== of.ne)
  )
}

test('holdings: what is told as new, empty or nothing to delete is so, whatever was written, deleted, looked at and failed before', () => {
  const tenant = 'acme'
  const steps = fc.array(fc.oneof(write, remove, look), { maxLength: 30 })
  fc.assert(
    fc.property(
      fc.array(fc.record({ documentId, version, build }), { maxLength: 3 }),
      steps,
      (before, all) => {
        const holdings = createHoldings()
        let rows: Row[] = [...before]
        const pending: { at: number; tell: () => void }[] = []
        for (const [at, step] of all.entries()) {
          for (const { tell } of pending.filter((each) => each.at === at)) tell()
          if (step.kind === 'write') {
            const points = step.points.map((row) => ({ tenant, ...row }) as Point)
            const { isNew, done } = holdings.write(points)
            if (isNew)
              expect(rows.filter((row) => points.some((p) => p.documentId === row.documentId))).toEqual([])
            // Whether a write that failed took effect is not known: here it did.
            rows.push(...step.points)
            done(step.fails)
          } else if (step.kind === 'delete') {
            const selector = given({ tenant, ...step.selector }) as PointSelector
            const named = rows.filter((row) => isNamed(selector, row))
            if (!holdings.delete(selector)) expect(named).toEqual([])
            rows = rows.filter((row) => !named.includes(row))
          } else {
            const documents = DOCUMENTS.map((id) => ({ tenant, documentId: id }))
            const end = holdings.look(documents)
            const seen = new Set(rows.map((row) => row.documentId))
            pending.push({ at: at + 1 + step.later, tell: () => end(({ documentId: id }) => seen.has(id)) })
          }
          for (const id of DOCUMENTS)
            if (holdings.isEmpty({ tenant, documentId: id }))
              expect(rows.filter((row) => row.documentId === id)).toEqual([])
        }
      },
    ),
    { numRuns: 2000 },
  )
})

test('holdings: a new document is known to be empty after a look, and its own clean-up finds nothing', () => {
  const holdings = createHoldings()
  const document = { tenant: 'acme', documentId: 'a' }
  holdings.look([document])(() => false)
  expect(holdings.isEmpty(document)).toBe(true)
  const { isNew, done } = holdings.write([{ ...document, version: '2', build: 'x' } as Point])
  done(false)
  expect(isNew).toBe(true)
  expect(holdings.delete({ ...document, version: { lt: '2' } })).toBe(false)
  expect(holdings.delete({ ...document, version: { eq: '2' }, build: { ne: 'x' } })).toBe(false)
  expect(holdings.delete({ ...document, version: { lte: '2' } })).toBe(true)
})
