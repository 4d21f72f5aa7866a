import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { systemClock } from '@aquifer/runtime/clock'
import { expect, test } from 'vitest'
import { createSqliteEventLog } from '../src/adapters/sqlite.ts'
import type { EventLog } from '../src/port.ts'

const CHILD = fileURLToPath(new URL('kill.child.ts', import.meta.url))
const RUNS = 8
const PARTITIONS = 3
const MAX_BATCH = 8

/** Lets the child work until it has said `lines` things, kills it with SIGKILL, and returns all that it said. */
async function runAndKill(path: string, run: number, lines: number): Promise<string[][]> {
  const child = spawn(process.execPath, [CHILD, path, String(run)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: 30_000,
  })
  const exited = new Promise<NodeJS.Signals | null>((resolve) =>
    child.once('exit', (_, signal) => resolve(signal)),
  )
  const said: string[][] = []
  for await (const line of createInterface({ input: child.stdout })) {
    // A line is shorter than PIPE_BUF, so it is written as a whole or not at all.
    said.push(line.split(' '))
    if (said.length === lines) child.kill('SIGKILL')
  }
  expect(await exited).toBe('SIGKILL')
  return said
}

async function readAll(log: EventLog, partition: number): Promise<string[]> {
  const names: string[] = []
  for (;;) {
    const records = await log.read('killed', partition, names.length, 1_000)
    if (records.length === 0) return names
    for (const { offset, headers } of records) {
      // Dense: nothing was lost, and nothing that was never acknowledged left a hole.
      expect(offset).toBe(names.length)
      names.push(headers['name']!)
    }
  }
}

test('kill -9 at seeded moments: every acknowledged append is there, offsets are dense, commits only go forward', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'event-log-kill-'))
  const path = join(directory, 'log.db')
  const acknowledged: [partition: number, offset: number, name: string][] = []
  const committed = Array.from({ length: PARTITIONS }, () => -1)
  const delivered = Array.from({ length: PARTITIONS }, () => -1)
  try {
    for (let run = 0; run < RUNS; run++) {
      const fresh = new Set(Array.from({ length: PARTITIONS }, (_, partition) => partition))
      // Seeded: from right at the start to well into the work, apart from each other in both.
      const said = await runAndKill(path, run, 1 + ((run * 197) % 600))
      for (const [what, partitionText, offsetText, name] of said) {
        const [partition, offset] = [Number(partitionText), Number(offsetText)]
        if (what === 'append') acknowledged.push([partition, offset, name!])
        if (what === 'deliver') {
          expect(offset).toBeGreaterThan(committed[partition]!)
          // After a restart at the commit, which may be one batch ahead of what was said; then without a gap.
          if (fresh.delete(partition)) expect(offset).toBeLessThanOrEqual(delivered[partition]! + MAX_BATCH)
          else expect(offset).toBe(committed[partition]! + 1)
          delivered[partition] = Math.max(delivered[partition]!, offset)
        }
        if (what === 'commit') {
          expect(offset).toBeGreaterThan(committed[partition]!)
          committed[partition] = offset
        }
      }
    }
    const log = createSqliteEventLog({ path, clock: systemClock, maintainEveryMs: null })
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const names = await readAll(log, partition)
      expect(new Set(names).size).toBe(names.length)
      for (const [of, offset, name] of acknowledged) if (of === partition) expect(names[offset]).toBe(name)
    }
    await log.close()
    expect(acknowledged.length).toBeGreaterThan(100)
    expect(Math.min(...committed)).toBeGreaterThan(0)
  } finally {
    rmSync(directory, { recursive: true })
  }
})
