import { randomUUID } from 'node:crypto'
import { renameSync, rmSync, writeFileSync } from 'node:fs'
import { workerData } from 'node:worker_threads'
import { bertGraph } from './bert-graph.ts'
import type { ConvertTask } from './convert.ts'
import { encodeOnnx } from './onnx.ts'
import { openSafetensors } from './safetensors.ts'

const { safetensors, path, ...options } = workerData as ConvertTask
const weights = openSafetensors(safetensors)
const part = `${path}.${randomUUID()}.part`
try {
  writeFileSync(part, encodeOnnx(bertGraph(weights, options)), { flush: true })
  renameSync(part, path)
} finally {
  weights.close()
  rmSync(part, { force: true })
}
