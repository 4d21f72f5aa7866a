import { parentPort, workerData } from 'node:worker_threads'
import type { WorkerReply, WorkerRequest, WorkerSetup } from './onnx-protocol.ts'

/** Stands in for the model: does what a passage's text says. */
const port = parentPort!
const { tokenizer } = workerData as WorkerSetup

function reply(message: WorkerReply): void {
  port.postMessage(message)
}

port.on('message', (request: WorkerRequest) => {
  if (request.type === 'close') return port.close()
  if (request.type === 'count')
    return reply({ type: 'counted', counts: request.texts.map((text) => text.length) })
  const texts = request.passages.map(({ text }) => text)
  if (texts.includes('die')) process.exit(1)
  if (texts.includes('hang')) for (;;);
  if (texts.includes('fail')) return reply({ type: 'failed', message: 'out of memory' })
  // The vector says how many passages came together.
  const embeddings = texts.map(() => ({ vector: Float32Array.of(texts.length), words: null, tokens: 1 }))
  return reply({ type: 'embedded', embeddings })
})

if (tokenizer === 'unusable') {
  reply({ type: 'unusable', message: 'no such device' })
  port.close()
} else reply({ type: 'ready' })
