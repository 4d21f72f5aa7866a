import { describe, expect, test } from 'vitest'
import type { Fact, Position } from './facts.ts'
import { judge } from './judge.ts'
import { textOf } from './nonce.ts'

const OF = { tenant: 'acme', documentId: 'a' }
const at = (offset: number): Position => ({ appendTimeMs: offset, topic: 'documents', partition: 0, offset })
const publish = (nonce: number, more: object = {}): Fact[] => [
  { kind: 'publishing', nonce, ...OF, access: null, fails: 'never', ...more },
  { kind: 'accepted', ...OF, nonce, position: at(nonce) },
]
const asked = (query: number, more: object = {}): Fact => ({
  kind: 'asked',
  query,
  tenant: 'acme',
  groups: null,
  ...more,
})
const answered = (query: number, texts: string[], more: object = {}): Fact => ({
  kind: 'answered',
  query,
  what: 'search',
  texts,
  ...more,
})
const settled = (...texts: string[]): Fact => ({ kind: 'settled', ...OF, texts })
const kept = (where: 'index' | 'files', text: string): Fact => ({ kind: 'kept', where, ...OF, text })
const tombstone = (offset: number): Fact[] => [
  { kind: 'deleting', ...OF },
  { kind: 'accepted', ...OF, nonce: null, position: at(offset) },
  { kind: 'deleted', ...OF, position: at(offset) },
]
const [one, two] = [textOf(1, 2), textOf(2, 2)] as [string, string]
const found = (facts: Fact[]) =>
  Object.entries(judge(facts).counts).flatMap(([rule, count]) => (count > 0 ? [rule] : []))

describe('oracle', () => {
  const fine: [string, Fact[]][] = [
    ['the newest is shown', [...publish(1), ...publish(2), settled(two), kept('index', two)]],
    [
      'an older one, while the newer is on its way',
      [...publish(1), ...publish(2), asked(1), answered(1, [one])],
    ],
    [
      'an older one to who asked before the newer was shown',
      [...publish(1), ...publish(2), asked(1), asked(2), answered(2, [two]), answered(1, [one])],
    ],
    ['nothing after a deletion', [...publish(1), ...tombstone(2), settled()]],
    [
      'the one before a dead letter',
      [
        ...publish(1),
        ...publish(2, { fails: 'must' }),
        { kind: 'deadLetter', position: at(2) },
        settled(one),
      ],
    ],
    [
      'what is restricted, to its group',
      [...publish(1, { access: ['red'] }), asked(1, { groups: ['red'] }), answered(1, [one])],
    ],
  ]
  test.each(fine)('says nothing of: %s', (_, facts) => {
    expect(judge(facts).violations).toEqual([])
  })

  const faults: [string, string, Fact[]][] = [
    ['lost', 'nothing is shown in the end', [...publish(1), settled()]],
    ['lost', 'an older one is shown in the end', [...publish(1), ...publish(2), settled(one)]],
    ['lost', 'half of it', [...publish(1), asked(1), answered(1, [one.slice(0, 60)], { whole: 'a' })]],
    [
      'lost',
      'dead-lettered though nothing is wrong with it',
      [...publish(1), { kind: 'deadLetter', position: at(1) }, settled()],
    ],
    ['lost', 'not dead-lettered though unreadable', [...publish(1, { fails: 'must' }), settled()]],
    [
      'lost',
      'gone for a moment',
      [...publish(1), asked(1), answered(1, [one]), asked(2), answered(2, [], { whole: 'a' })],
    ],
    [
      'lost',
      'confirmed but absent',
      [...publish(1), asked(1), answered(1, [], { whole: 'a', reached: [at(1)] })],
    ],
    [
      'stale',
      'older than what was shown',
      [...publish(1), ...publish(2), asked(1), answered(1, [two]), asked(2), answered(2, [one])],
    ],
    [
      'stale',
      'older than its receipt',
      [...publish(1), ...publish(2), asked(1), answered(1, [one], { whole: 'a', reached: [at(2)] })],
    ],
    ['stale', 'two versions at once', [...publish(1), ...publish(2), asked(1), answered(1, [one, two])]],
    [
      'resurrected',
      'shown after its deletion',
      [...publish(1), ...tombstone(2), asked(1), answered(1, [one])],
    ],
    ['resurrected', 'shown in the end', [...publish(1), ...tombstone(2), settled(one)]],
    ['wrong-tenant', 'another tenant’s', [...publish(1), asked(1, { tenant: 'globex' }), answered(1, [one])]],
    [
      'wrong-tenant',
      'another group’s',
      [...publish(1, { access: ['red'] }), asked(1, { groups: ['blue'] }), answered(1, [one])],
    ],
    ['orphan', 'an old point', [...publish(1), ...publish(2), settled(two), kept('index', one)]],
    ['orphan', 'a point twice', [...publish(1), settled(one), kept('index', one), kept('index', one)]],
    ['orphan', 'an old text', [...publish(1), ...publish(2), settled(two), kept('files', one)]],
    ['orphan', 'a deleted text', [...publish(1), ...tombstone(2), settled(), kept('files', one)]],
  ]
  test.each(faults)('%s: %s', (rule, _, facts) => {
    expect(found(facts)).toEqual([rule])
  })
})
