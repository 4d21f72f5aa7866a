import { openDatabase } from '@aquifer/runtime/sqlite'
import fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import { attempt, versionAt, visible } from '../../conformance/registry-values.ts'
import { createMemoryRegistry } from './memory.ts'
import type { Registry } from './port.ts'
import { createSqliteRegistry, registrySchema } from './sqlite.ts'

const IDS = ['a', 'b', 'c']

const version = fc.integer({ min: 1, max: 9 })
const calls = fc.array(
  fc.record({
    call: fc.oneof(
      fc.record({ name: fc.constant('lookUp' as const), ids: fc.subarray(IDS) }),
      fc.record({
        name: fc.constantFrom('recordAttempt' as const, 'flip' as const, 'raiseFloor' as const),
        id: fc.constantFrom(...IDS),
        n: version,
      }),
    ),
    /** Whether the next call waits for all before it. */
    waits: fc.boolean(),
  }),
  { maxLength: 30 },
)

async function answers(
  registry: Registry,
  tenant: string,
  made: typeof calls extends fc.Arbitrary<infer T> ? T : never,
) {
  const running: Promise<unknown>[] = []
  for (const { call, waits } of made) {
    if (call.name === 'lookUp')
      running.push(registry.lookUp(tenant, call.ids).then((found) => call.ids.map((id) => found.get(id))))
    else if (call.name === 'flip') running.push(registry.flip(tenant, call.id, visible(call.n)))
    else if (call.name === 'raiseFloor') running.push(registry.raiseFloor(tenant, call.id, versionAt(call.n)))
    else running.push(registry.recordAttempt(tenant, call.id, attempt(call.n)))
    if (waits) await Promise.all(running)
  }
  return await Promise.all(running)
}

const database = openDatabase({ path: ':memory:', schema: registrySchema, survives: 'kill' })
afterAll(() => database.close())

test('sqlite registry: what it keeps of a document is never older than a write that was called before the look', async () => {
  const registry = createSqliteRegistry(database)
  let runs = 0
  await fc.assert(
    fc.asyncProperty(calls, async (made) => {
      const tenant = `tenant-${runs++}`
      expect(await answers(registry, tenant, made)).toEqual(
        await answers(createMemoryRegistry(), tenant, made),
      )
    }),
    { numRuns: 300 },
  )
})
