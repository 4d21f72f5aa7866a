import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import { manyLooks } from '../src/injection.ts'
import { documentationPages, fileHash, injectionRows, ordinaryTexts } from './data.ts'
import { fitModels, heldOutFigures, maxScore, prepare, read, SEED } from './injection.ts'
import type { Fitted } from './linear.ts'

// Fits the two injection models and writes `src/weights/injection.json`:
//   AQUIFER_DEV_DATA=… node packages/guard/fit/fit-injection.ts

const rows = injectionRows().map((row) => ({ row, read: read(row.text) }))
const prepared = prepare(true)
const direct = heldOutFigures(rows, prepared, 'direct')
const indirect = heldOutFigures(rows, prepared, 'indirect')
const models = fitModels(rows, prepared)

const lowered = (model: Fitted, lists: readonly Int32Array[], windows: number): number =>
  maxScore(model, lists) - manyLooks(windows)
// A document is read for both kinds, so each gets a part of the false positives; ordinary passages must pass.
const passages = ordinaryTexts().passages.map(read)
const passageScores = passages
  .map(({ groups, windows }) => lowered(models.direct, groups, windows.length))
  .toSorted((a, b) => b - a)
const thresholds = {
  input: direct.threshold,
  direct: Math.max(direct.strictThreshold, passageScores[Math.floor(passages.length * 0.005)] ?? 0),
  indirect: indirect.threshold,
}
const pages = documentationPages().map(({ text }) => read(text))
const pagesFlagged = pages.filter(
  ({ groups, windows }) =>
    lowered(models.direct, groups, windows.length) >= thresholds.direct ||
    lowered(models.indirect, windows, windows.length) >= thresholds.indirect,
).length

function encode({ weights, bias }: Fitted): { weights: string; scale: number; bias: number } {
  const sizes = weights.map(Math.abs).toSorted()
  const scale = (sizes[Math.floor(sizes.length * 0.9999)] ?? 1) / 127
  const bytes = Int8Array.from(weights, (weight) => Math.max(-127, Math.min(127, Math.round(weight / scale))))
  return { weights: Buffer.from(bytes.buffer).toString('base64'), scale, bias }
}

const fitted = {
  about: 'Linear models over hashed features, written by packages/guard/fit/fit-injection.ts. Do not edit.',
  seed: SEED,
  data: {
    'injection.jsonl': fileHash('injection.jsonl'),
    ordinary: [
      'groundedness_ragtruth.jsonl',
      'groundedness_mtrag_human.jsonl',
      'groundedness_halueval_qa.jsonl',
    ].map(fileHash),
  },
  heldOut: {
    how: 'Recall at the false positive rate, by models that saw neither the family of the attack nor that of the benign row; direct attacks, all of one family, in five parts.',
    direct: direct.recall,
    indirect: indirect.recall,
    documentationPagesFlagged: `${pagesFlagged} of ${pages.length}`,
  },
  thresholds,
  direct: encode(models.direct),
  indirect: encode(models.indirect),
}
writeFileSync(
  fileURLToPath(new URL('../src/weights/injection.json', import.meta.url)),
  `${JSON.stringify(fitted, null, 2)}\n`,
)
console.log(JSON.stringify({ ...fitted, direct: undefined, indirect: undefined }, null, 2))
