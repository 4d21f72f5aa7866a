import type { Row, Statement } from '@aquifer/runtime/sqlite'
import { describe, expect, test } from 'vitest'
import type { AppendRun } from '../log-storage.ts'
import { createAppends, SPAN } from './sqlite-appends.ts'

/** Two partitions that a file holds, and every transaction that it was asked for. */
function file() {
  const ends = new Map([1, 2].map((id) => [id, { next: 0, last_time_ms: 0 }]))
  const ids: number[] = []
  const transactions: (readonly Statement[])[] = []
  let failing = false
  const write = async (statements: readonly Statement[]): Promise<Row[][]> => {
    const [first, ...advances] = statements
    if (!first!.each) return [[...ends].map(([id, end]) => ({ id, ...end, compact: 0 }))]
    transactions.push(statements)
    if (failing) {
      failing = false
      throw new Error('the disk is full')
    }
    ids.push(...first!.each.map(([id]) => Number(id)))
    for (const { values } of advances)
      ends.set(Number(values![2]), { next: Number(values![0]), last_time_ms: Number(values![1]) })
    return statements.map(() => [])
  }
  return { ids, transactions, failOnce: () => (failing = true), open: () => createAppends(write, () => {}) }
}

function run(id: number, count = 1): AppendRun {
  const record = { key: Buffer.from('key'), value: Buffer.from('value'), headers: {}, sizeBytes: 8 }
  return {
    partition: { id, topic: 'topic', partition: id },
    records: Array.from({ length: count }, () => record),
  }
}

describe('appends', () => {
  test('those of one turn share a transaction, each with its own offsets and no time that goes back', async () => {
    const disk = file()
    const log = disk.open()
    const answers = await Promise.all([
      log.append([run(1, 2)], 50),
      log.append([run(2), run(1)], 40),
      log.append([run(1)], 60),
    ])
    expect(disk.transactions).toHaveLength(1)
    expect(answers).toEqual([
      [{ firstOffset: 0, appendTimeMs: 50 }],
      [
        { firstOffset: 0, appendTimeMs: 40 },
        { firstOffset: 2, appendTimeMs: 50 },
      ],
      [{ firstOffset: 3, appendTimeMs: 60 }],
    ])
    expect(disk.ids).toEqual([SPAN, SPAN + 1, 2 * SPAN, SPAN + 2, SPAN + 3])
  })

  test('a transaction that fails takes no offsets, and whoever comes after it goes on', async () => {
    const disk = file()
    const log = disk.open()
    await log.append([run(1)], 1)
    disk.failOnce()
    const failed = await Promise.allSettled([log.append([run(1)], 2), log.append([run(1, 3)], 2)])
    expect(failed.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    expect(await log.append([run(1)], 3)).toEqual([{ firstOffset: 1, appendTimeMs: 3 }])
  })

  test('more than may wait is refused, and there is room again afterwards', async () => {
    const log = file().open()
    const large = { ...run(1), records: [{ ...run(1).records[0]!, sizeBytes: 40 * 1024 * 1024 }] }
    const first = log.append([large], 1)
    await expect(log.append([large], 1)).rejects.toMatchObject({ code: 'log_unavailable', retryable: true })
    await first
    await log.ended()
    await log.append([large], 1)
  })
})
