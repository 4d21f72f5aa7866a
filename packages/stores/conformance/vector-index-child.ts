/**
 * Upserts document after document until it is killed, and names on stdout each that was acknowledged.
 * Arguments: the module of the adapter, the location.
 */
import type { VectorIndexAdapter } from './vector-index-kit.ts'
import { COLLECTION, randomUnit, seeded, version } from './points.ts'

const [module, location] = process.argv.slice(2) as [string, string]
const { adapter } = (await import(module)) as { adapter: VectorIndexAdapter }
const index = await (await adapter.open(location)).open(COLLECTION)
const random = seeded(1)
for (let round = 0; ; round++) {
  const documents = Array.from({ length: 4 }, (_, i) => `doc-${round}-${i}`)
  await Promise.all(
    documents.map(async (documentId) => {
      const points = version({ documentId, vector: randomUnit(random), terms: ['kill'] }, 5)
      await index.upsert(points)
      // The same again, as after a redelivery: killed here, nothing may be doubled.
      await index.upsert(points)
      process.stdout.write(`${documentId}\n`)
    }),
  )
}
