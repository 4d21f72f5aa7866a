import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { hasData, readRows } from '../../fit/groundedness/data.ts'
import { measureRows } from '../../fit/groundedness/measure.ts'
import type { Scored } from '../../fit/groundedness/statistics.ts'
import {
  auroc,
  balancedAccuracy,
  lengthMatchedAuroc,
  reliability,
  seeded,
} from '../../fit/groundedness/statistics.ts'
import { outOfFold } from '../../fit/groundedness/train.ts'
import weights from './weights.json' with { type: 'json' }

const dir = process.env['AQUIFER_DEV_DATA'] ?? join(import.meta.dirname, '../../../../../shared/data')
const missing = hasData(dir) ? '' : ` (development data is not at ${dir}: set AQUIFER_DEV_DATA)`

test('groundedness weights: the figures they ship with are above the floors', () => {
  const { ragtruth } = weights.fitted.outOfFold
  expect(ragtruth.auroc).toBeGreaterThan(0.87)
  expect(ragtruth.aurocInterval[0]).toBeGreaterThan(0.815)
  expect(ragtruth.lengthMatchedAuroc).toBeGreaterThan(0.82)
  expect(ragtruth.balancedAccuracy).toBeGreaterThan(0.78)
  expect(ragtruth.ece).toBeLessThan(0.06)
})

describe.skipIf(missing !== '')(`groundedness weights on the development data${missing}`, () => {
  test('were fitted on this data', () => {
    expect(readRows(dir).hash).toBe(weights.fitted.dataSha256)
  })

  test(
    'refitted without the embedder tell ungrounded answers of sources they have not seen',
    { timeout: 120_000 },
    async () => {
      const rows = readRows(dir).rows.filter(({ set }) => set !== 'faithbench')
      const measured = await measureRows(rows, null, seeded(weights.fitted.seed))
      const judged = outOfFold(measured, weights.fitted.recipe, 5, seeded(weights.fitted.seed)).filter(
        ({ row }) => row.set === 'ragtruth',
      )
      const scored: Scored[] = judged.map(({ row, groundedness }) => ({
        score: -groundedness,
        positive: !row.grounded,
        source: row.source,
        length: row.answer.length,
      }))
      const said = judged.map(({ row, said }) => ({ positive: !row.grounded, said: !said }))
      const calibration = judged.map(({ row, groundedness }) => ({
        probability: groundedness,
        positive: row.grounded,
      }))
      expect(auroc(scored)).toBeGreaterThan(0.86)
      expect(lengthMatchedAuroc(scored)).toBeGreaterThan(0.81)
      expect(balancedAccuracy(said)).toBeGreaterThan(0.76)
      expect(reliability(calibration).ece).toBeLessThan(0.08)
    },
  )
})
