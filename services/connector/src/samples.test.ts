import { readdirSync, readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createParsePool } from './parse-pool.ts'
import type { ParsePool } from './parse-pool.ts'

const SAMPLES = new URL('../../../samples/', import.meta.url)

let pool: ParsePool
beforeAll(() => {
  pool = createParsePool({ tokenizerPath: null })
})
afterAll(() => pool.close())

test.each(readdirSync(SAMPLES))(
  'samples/%s: the first screen marks nothing, for a newcomer’s first answer rests on it',
  async (filename) => {
    const bytes = readFileSync(new URL(filename, SAMPLES))
    const contentType = 'application/octet-stream'
    const { guard } = await pool.parse({ bytes, contentType, filename, title: null })
    expect(guard).toEqual({ verdicts: [], action: 'allow' })
  },
)
