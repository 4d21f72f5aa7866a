import fc from 'fast-check'
import { expect } from 'vitest'
import { MAX_PER_KEY } from '@aquifer/stores/registry'
import type { Candidate, Registry } from '@aquifer/stores/registry'
import { findSimilar } from '@aquifer/stores/registry-similar'
import { NEAR_DISTANCE } from '@aquifer/text/fingerprint'
import type { Behaviour } from './registry.ts'
import { attempt, versionAt, visible } from './registry-values.ts'

const BASE = '0123456789abcdef'
const anyFingerprint = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
const anyBits = (most: number): fc.Arbitrary<bigint[]> =>
  fc.uniqueArray(fc.bigInt({ min: 0n, max: 63n }), { maxLength: most })
const hex = (bits: bigint): string => bits.toString(16).padStart(16, '0')
const flipped = (bits: bigint, which: readonly bigint[]): bigint =>
  which.reduce((changed, bit) => changed ^ (1n << bit), bits)

async function show(registry: Registry, id: string, fingerprint: string | null, n = 1): Promise<void> {
  await registry.flip('acme', id, visible(n, { fingerprint }))
}
async function candidates(registry: Registry, fingerprint: string): Promise<Candidate[]> {
  const found = await registry.candidates('acme', fingerprint)
  expect(new Set(found.map(({ documentId }) => documentId)).size).toBe(found.length)
  return found.sort((a, b) => (a.documentId < b.documentId ? -1 : 1))
}
const idsOf = (found: readonly Candidate[]): string[] => found.map(({ documentId }) => documentId)

async function similar(registry: Registry, id: string, groups: readonly string[] | null = []) {
  return await findSimilar(registry, (await registry.lookUp('acme', [id])).get(id)!, groups)
}

export function nearness(behaviour: Behaviour): void {
  behaviour(
    'R6 a candidate is what is visible: not a former version, nor what is deleted',
    async (registry) => {
      const ids = ["it's", 'a\nb\u0000', '😀']
      for (const id of ids) await show(registry, id, BASE)
      await show(registry, 'short', null)
      await registry.flip('other', 'theirs', visible(1, { fingerprint: BASE }))
      await registry.recordAttempt('acme', 'queued', attempt(1))
      const all = ids.map((documentId) => ({ documentId, fingerprint: BASE }))
      expect(await candidates(registry, BASE)).toEqual(
        all.toSorted((a, b) => (a.documentId < b.documentId ? -1 : 1)),
      )
      await show(registry, ids[0]!, 'fedcba9876543210', 2)
      expect(idsOf(await candidates(registry, BASE))).toEqual([ids[1], ids[2]])
      expect(idsOf(await candidates(registry, 'fedcba9876543210'))).toEqual([ids[0]])
      await show(registry, ids[0]!, BASE, 1)
      await show(registry, ids[1]!, null, 2)
      await registry.raiseFloor('acme', ids[2]!, versionAt(1))
      expect(await candidates(registry, BASE)).toEqual([])
      await show(registry, ids[1]!, BASE, 3)
      await registry.raiseFloor('acme', ids[1]!, versionAt(2))
      expect(idsOf(await candidates(registry, BASE))).toEqual([ids[1]])
    },
  )

  behaviour('R6 whatever differs in few bits is among the candidates', async (registry) => {
    let n = 0
    await fc.assert(
      fc.asyncProperty(anyFingerprint, anyBits(NEAR_DISTANCE), async (bits, which) => {
        await show(registry, `near ${++n}`, hex(flipped(bits, which)))
        expect(idsOf(await registry.candidates('acme', hex(bits)))).toContain(`near ${n}`)
      }),
      { numRuns: 200 },
    )
  })

  behaviour('R6 a crowd that shares a key is cut, and hides nothing that has another', async (registry) => {
    const crowd = Array.from(
      { length: MAX_PER_KEY + 30 },
      (_, i) =>
        // The first band as of the base, the others far from it.
        `0123${((i * 0x9e3779b1) >>> 0).toString(16).padStart(8, '0')}5555`,
    )
    await Promise.all(crowd.map((fingerprint, i) => show(registry, `crowd ${i}`, fingerprint)))
    await show(registry, 'near', '0122456789abcdef')
    const found = idsOf(await candidates(registry, BASE))
    expect(found).toContain('near')
    expect(found.length).toBeGreaterThanOrEqual(MAX_PER_KEY)
    expect(found.length).toBeLessThan(MAX_PER_KEY + 10)
  })

  behaviour('what is similar comes nearest first, for those who may see it', async (registry) => {
    await show(registry, 'own', BASE)
    await show(registry, 'at 7', '0123456789abcd90')
    await show(registry, 'at 2', '0123456789abcdec')
    await show(registry, 'at 8', '0123456789abcd10')
    await registry.flip('acme', 'red', visible(1, { fingerprint: BASE, access: ['red'] }))
    const [at2, at7] = [2, 7].map((distance) => ({ id: `at ${distance}`, title: 'title 1', distance }))
    const red = { id: 'red', title: 'title 1', distance: 0 }
    expect(await similar(registry, 'own')).toEqual([at2, at7])
    expect(await similar(registry, 'own', ['red'])).toEqual([red, at2, at7])
    expect(await similar(registry, 'own', null)).toEqual([red, at2, at7])
    expect(await similar(registry, 'red', null)).toEqual([{ ...red, id: 'own' }, at2, at7])
    // About to be restricted.
    await registry.recordAttempt('acme', 'at 2', attempt(2, { access: ['blue'] }))
    expect(await similar(registry, 'own')).toEqual([at7])
    await registry.raiseFloor('acme', 'own', versionAt(1))
    expect(await similar(registry, 'own')).toEqual([])
    for (let n = 0; n < 12; n++) await show(registry, `copy ${n}`, '0123456789abcdef')
    expect(await similar(registry, 'red', null)).toHaveLength(10)
  })
}
