import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { deflateRawSync } from 'node:zlib'

import type { TextStyle } from '../src/personal.ts'
import { fileHash, personalRows } from './data.ts'
import { crossValidate, fitTagger, SEED, type TaggerFigures } from './tagger.ts'

// Fits the two taggers and writes `src/weights/personal.json`:
//   AQUIFER_DEV_DATA=… node packages/guard/fit/fit-personal.ts

const rows = personalRows()

function fit(style: TextStyle): { heldOut: TaggerFigures; scale: number; weights: string } {
  const { weights } = fitTagger(rows, style)
  const sizes = weights.map(Math.abs).toSorted()
  const scale = (sizes[Math.floor(sizes.length * 0.9999)] ?? 1) / 127
  const bytes = Int8Array.from(weights, (weight) => Math.max(-127, Math.min(127, Math.round(weight / scale))))
  return {
    heldOut: crossValidate(rows, style),
    scale,
    weights: deflateRawSync(Buffer.from(bytes.buffer), { level: 9 }).toString('base64'),
  }
}

const fitted = {
  about:
    'Averaged perceptrons over hashed features, written by packages/guard/fit/fit-personal.ts. Do not edit.',
  seed: SEED,
  data: {
    'pii.jsonl': fileHash('pii.jsonl'),
    prose: [
      'groundedness_ragtruth.jsonl',
      'groundedness_mtrag_human.jsonl',
      'groundedness_halueval_qa.jsonl',
    ].map(fileHash),
  },
  heldOut:
    'Five parts by template, forms and tagger together; a span counts for one of the same type, matched exactly or overlapping; by type: overlapping.',
  message: fit('message'),
  prose: fit('prose'),
}
writeFileSync(
  fileURLToPath(new URL('../src/weights/personal.json', import.meta.url)),
  `${JSON.stringify(fitted, null, 2)}\n`,
)
console.log(JSON.stringify({ message: fitted.message.heldOut, prose: fitted.prose.heldOut }, null, 2))
