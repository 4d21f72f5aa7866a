import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

interface Report {
  readonly rows: readonly { name: string; ours: number; peer: number; ratio: number; met: boolean }[]
  readonly missing: readonly string[]
}

// A part that AQUIFER_REQUIRE names and that does not start ends the command with an error.
test('bench: every comparison runs and has figures, whatever they are on a busy machine', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'aquifer-bench-'))
  try {
    const file = join(dir, 'rows.json')
    const script = fileURLToPath(new URL('../../bench/main.ts', import.meta.url))
    await promisify(execFile)(process.execPath, [script, '--smoke', '--json', file], { timeout: 170_000 })
    const { rows, missing }: Report = JSON.parse(await readFile(file, 'utf8'))
    expect(rows.length).toBeGreaterThan(0)
    for (const { name, ours, peer, ratio } of rows)
      expect(
        [ours, peer, ratio].every((value) => Number.isFinite(value) && value > 0),
        name,
      ).toBe(true)
    for (const line of missing) console.log(`left out: ${line}`)
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
})
