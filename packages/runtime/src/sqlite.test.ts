import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ownDataDir } from './owner-lock.ts'
import { openDatabase } from './sqlite.ts'
import type { Database } from './sqlite.ts'

const SCHEMA = 'CREATE TABLE IF NOT EXISTS t (k TEXT PRIMARY KEY, v INTEGER NOT NULL CHECK (v >= 0)) STRICT'
const put = (k: string, v: number) => ({ sql: 'INSERT INTO t VALUES (?, ?)', values: [k, v] })
let dir: string
let database: Database

const open = () => openDatabase({ path: join(dir, 't.db'), schema: SCHEMA, survives: 'kill' })
const keys = async () => (await database.all<{ k: string }>('SELECT k FROM t ORDER BY k')).map(({ k }) => k)

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'aquifer-sqlite-'))
  database = open()
})
afterEach(async () => {
  await database.close()
  rmSync(dir, { recursive: true, force: true })
})

describe('database', () => {
  test('S1 a transaction is all or nothing', async () => {
    await expect(database.transaction([put('a', 1), put('b', -1)])).rejects.toMatchObject({
      code: 'sqlite_failed',
      retryable: true,
    })
    expect(await keys()).toEqual([])
    await database.transaction([put('a', 1), put('b', 2)])
    expect(await keys()).toEqual(['a', 'b'])
  })

  test('S1 of many that share a commit, one that fails does not fail the others', async () => {
    const results = await Promise.allSettled(
      Array.from({ length: 600 }, (_, i) =>
        database.transaction([put(`k${i}`, 1), put(`l${i}`, i % 100 === 7 ? -1 : 1)]),
      ),
    )
    const failed = results.flatMap(({ status }, i) => (status === 'rejected' ? [i] : []))
    expect(failed).toEqual([7, 107, 207, 307, 407, 507])
    expect(await keys()).toHaveLength(2 * 594)
  })

  test('S2 calls take effect in their order, reads among writes', async () => {
    const seen = await Promise.all(
      Array.from({ length: 50 }, async (_, i) => {
        const writing = database.transaction([put(`k${i}`, i)])
        const [row] = await database.all<{ n: number }>('SELECT count(*) AS n FROM t')
        await writing
        return row!.n
      }),
    )
    expect(seen.every((count, i) => count > i)).toBe(true)
  })

  test('a transaction gives the rows of each statement', async () => {
    const [none, rows] = await database.transaction([
      put('a', 1),
      { sql: 'UPDATE t SET v = v + 1 RETURNING v' },
    ])
    expect([none, rows!.map(({ v }) => v)]).toEqual([[], [2]])
  })

  test('what was written is there after a reopening; what comes after the close is refused', async () => {
    await database.transaction([put('a', 1)])
    const last = database.transaction([put('b', 1)])
    await database.close()
    await last
    await expect(database.all('SELECT 1')).rejects.toMatchObject({ code: 'sqlite_closed', retryable: true })
    await database.close()
    database = open()
    expect(await keys()).toEqual(['a', 'b'])
  })

  test('a file that cannot be opened fails each call, and the close comes back', async () => {
    const broken = openDatabase({ path: join(dir, 'none', 't.db'), schema: SCHEMA, survives: 'kill' })
    await expect(broken.all('SELECT 1')).rejects.toMatchObject({ code: 'sqlite_failed' })
    await expect(broken.all('SELECT 1')).rejects.toMatchObject({ code: 'sqlite_failed' })
    await broken.close()
  })
})

test('owner lock: one at a time, free again once released', () => {
  const release = ownDataDir(dir)
  expect(() => ownDataDir(dir)).toThrow(expect.objectContaining({ code: 'data_dir_in_use', status: 409 }))
  release()
  ownDataDir(dir)()
})
