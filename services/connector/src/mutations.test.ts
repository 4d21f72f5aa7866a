import { existsSync, globSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { AquiferError } from '@aquifer/runtime/errors'
import { expect, it, vi } from 'vitest'

import { openArchive } from './load/archive.ts'
import { sampleFiles } from './load/samples.fixture.ts'
import { makeZip } from './load/zip.fixture.ts'
import { createParsePool } from './parse-pool.ts'

/** `AQUIFER_MUTATIONS=1000` for the whole; a failure is made again with the seed that it printed. */
const COUNT = Number(process.env['AQUIFER_MUTATIONS'] ?? 80)
const SEED = Number(process.env['AQUIFER_MUTATION_SEED'] ?? 20_261_121)
const data =
  process.env['AQUIFER_DEV_DATA'] ?? fileURLToPath(new URL('../../../../shared/data', import.meta.url))

/** All that a document may fail for. */
const CODES = [
  'empty',
  'no_text',
  'encrypted',
  'broken',
  'unsupported_type',
  'mistyped',
  'too_large',
  'timeout',
  'out_of_memory',
]

/** Mulberry32: numbers from 0 to 1, the same for the same seed. */
function randomOf(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let value = Math.imul(state ^ (state >>> 15), 1 | state)
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32
  }
}

interface File {
  readonly name: string
  readonly bytes: Buffer
}

/** Bytes flipped, a piece cut out or repeated, an end cut off, or the half of another file joined on. */
function mutate(files: readonly File[], random: () => number): File & { readonly how: string } {
  const pick = (below: number) => Math.floor(random() * below)
  const { name, bytes } = files[pick(files.length)]!
  const from = pick(bytes.length)
  const length = 1 + pick(Math.min(bytes.length, 4096))
  switch (pick(5)) {
    case 0: {
      const flipped = Buffer.from(bytes)
      const count = 1 + pick(20)
      for (let i = 0; i < count; i++) flipped[pick(flipped.length)]! ^= 1 << pick(8)
      return { name, bytes: flipped, how: `${count} bits flipped` }
    }
    case 1:
      return {
        name,
        bytes: Buffer.concat([bytes.subarray(0, from), bytes.subarray(from + length)]),
        how: 'cut out',
      }
    case 2:
      return {
        name,
        bytes: Buffer.concat([
          bytes.subarray(0, from),
          bytes.subarray(from, from + length),
          bytes.subarray(from),
        ]),
        how: 'repeated',
      }
    case 3:
      return { name, bytes: bytes.subarray(0, Math.max(1, from)), how: 'cut off' }
    default: {
      const other = files[pick(files.length)]!
      return {
        name,
        bytes: Buffer.concat([bytes.subarray(0, from), other.bytes.subarray(pick(other.bytes.length))]),
        how: `joined with ${other.name}`,
      }
    }
  }
}

/** An archive's own checks see most damage: within a part, behind them, is where the readers of XML are. */
async function mutatePart(
  file: File,
  random: () => number,
): Promise<(File & { readonly how: string }) | null> {
  const archive = await openArchive(file.bytes, { unpackedBytes: 2 ** 24 }).catch(() => null)
  if (!archive) return null
  const parts: Record<string, Buffer> = {}
  for (const name of archive.names) parts[name] = (await archive.read(name))!
  const xml = Object.keys(parts).filter((name) => /\.(?:xml|rels)$/u.test(name) && parts[name]!.length > 0)
  const name = xml[Math.floor(random() * xml.length)]
  if (name === undefined) return null
  const { bytes, how } = mutate([{ name, bytes: parts[name]! }], random)
  return { name: file.name, bytes: makeZip({ ...parts, [name]: bytes }), how: `${name} ${how}` }
}

it(
  `${COUNT} damaged files: each is read or fails for itself; no process ends, no loop stalls, nothing is left behind`,
  { timeout: 60_000 + COUNT * 5_000 },
  async () => {
    const found = existsSync(data)
      ? globSync(join(data, 'parsers/*')).filter((file) => !file.endsWith('.jsonl'))
      : []
    if (found.length === 0) console.log(`development data not found in ${data}: only made files are damaged`)
    const files = [
      ...sampleFiles(),
      ...found.sort().map((file) => ({ name: basename(file), bytes: readFileSync(file) })),
    ]
    const random = randomOf(SEED)
    // Its own place for temporary files, which nobody else writes to.
    const temporary = mkdtempSync(join(tmpdir(), 'mutations-'))
    vi.stubEnv('TMPDIR', temporary)
    const pool = createParsePool({ tokenizerPath: null, timeoutMs: 20_000, memoryMb: 256, maxQueue: 8 })
    await pool.parse({ ...files[0]!, contentType: '', filename: files[0]!.name, title: null })
    const memoryMb: number[] = []
    let busiestMs = 0
    const outcomes = new Map<string, number>()
    let slowest = { ms: 0, what: '' }
    for (let i = 0; i < COUNT; i++) {
      const archives =
        random() < 0.3 ? files.filter((file) => /\.(?:docx|pptx|xlsx|odt)$/u.test(file.name)) : []
      const inner =
        archives.length > 0
          ? await mutatePart(archives[Math.floor(random() * archives.length)]!, random)
          : null
      const { name, bytes, how } = inner ?? mutate(files, random)
      const start = performance.now()
      const cpu = process.threadCpuUsage()
      const outcome = await pool
        .parse({ bytes, contentType: 'application/octet-stream', filename: name, title: null })
        .then(
          ({ text }) => (text === '' ? 'no text' : 'text'),
          (error: unknown) => (error instanceof AquiferError ? error.code : String(error)),
        )
      const ms = Math.round(performance.now() - start)
      // Time on the CPU, not on the clock: other programs on the machine do not count.
      const { user, system } = process.threadCpuUsage(cpu)
      busiestMs = Math.max(busiestMs, (user + system) / 1000)
      if ((i + 1) % Math.ceil(COUNT / 4) === 0) memoryMb.push(Math.round(process.memoryUsage().rss / 2 ** 20))
      if (ms > slowest.ms) slowest = { ms, what: `${name}, ${how}: ${outcome}` }
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
      expect(['text', ...CODES], `seed ${SEED}, file ${i} (${name}, ${how})`).toContain(outcome)
    }
    console.log(
      `seed ${SEED}: ${JSON.stringify(Object.fromEntries(outcomes))}, slowest ${slowest.ms} ms (${slowest.what}), ` +
        `the calling thread computed ${Math.round(busiestMs)} ms at most for one, resident at each quarter ${memoryMb.join(', ')} MB`,
    )
    expect(busiestMs).toBeLessThan(50)
    // The next document finds a worker that reads it as if nothing had been.
    const after = await pool.parse({ ...files[0]!, contentType: '', filename: files[0]!.name, title: null })
    expect(after.text).toContain('word7')
    await pool.close()
    expect(readdirSync(temporary)).toEqual([])
    vi.unstubAllEnvs()
    rmSync(temporary, { recursive: true })
  },
)
