import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { AquiferError, errorMessage, invalid } from '@aquifer/runtime/errors'
import { CONVERTER_VERSION, POOLING, type Precision } from './convert/bert-graph.ts'
import { bertConfig, onnxGraph } from './convert/convert.ts'
import type { Embedder } from './embedder.ts'
import { InferencePool } from './inference-pool.ts'
import type { ModelFiles } from './pull.ts'

export interface OnnxOptions {
  /** `auto` (the default) takes a GPU where there is one that works. */
  readonly device?: 'auto' | 'cpu' | 'cuda'
  /** `int8` on a CPU, `fp32` on a GPU unless told. */
  readonly precision?: Precision
  /** Of a text, special tokens left out; as many as the model can tell the places of unless told. */
  readonly maxTokens?: number
  /** Threads that embed documents, beside the one for queries; one a core unless told. */
  readonly documentWorkers?: number
  /** Takes the converted graph where the model's folder cannot be written. */
  readonly fallbackDir: string
}

const SPECIAL_TOKENS = 2
const MAX_DOCUMENT_WORKERS = 8
const PING_TIMEOUT_MS = 10_000

interface Plan {
  readonly device: 'cpu' | 'cuda'
  readonly precision: Precision
  readonly warning: string | null
}

/**
 * Embeds with a BERT sentence model through onnxruntime, in worker threads. Throws `model_unreadable`,
 * `embedder_device_unavailable` (device=cuda cannot start), `invalid_config`.
 */
export async function createOnnxEmbedder(model: ModelFiles, options: OnnxOptions): Promise<Embedder> {
  const { device = 'auto', precision } = options
  if (device === 'cuda' && precision === 'int8')
    throw invalid('invalid_config', 'precision=int8 runs on a CPU only: leave it out, or set device=cpu', 500)
  const onCpu: Plan = { device: 'cpu', precision: precision ?? 'int8', warning: null }
  if (device === 'cpu' || precision === 'int8' || (device === 'auto' && !hasNvidiaDevice()))
    return await start(model, onCpu, options)
  try {
    return await start(model, { device: 'cuda', precision: precision ?? 'fp32', warning: null }, options)
  } catch (error) {
    if (!(error instanceof AquiferError) || error.code !== 'embedder_unusable') throw error
    const why = `${model.name} cannot run on the GPU: ${errorMessage(error)}. ${HOW_TO_GET_CUDA}`
    if (device === 'cuda') throw invalid('embedder_device_unavailable', why, 500, error)
    return await start(model, { ...onCpu, warning: `${why} It runs on the CPU instead.` }, options)
  }
}

const HOW_TO_GET_CUDA =
  'CUDA needs an NVIDIA driver, CUDA 12 with cuDNN 9 on LD_LIBRARY_PATH, and the GPU libraries of onnxruntime-node: ' +
  'node packages/models/node_modules/onnxruntime-node/script/install.js --onnxruntime-node-install=cuda12 fetches those.'

function hasNvidiaDevice(): boolean {
  return existsSync('/dev/nvidiactl') || existsSync('/proc/driver/nvidia/version')
}

async function start(model: ModelFiles, plan: Plan, options: OnnxOptions): Promise<Embedder> {
  const { dimensions, positions } = bertConfig(model)
  const limit = positions - SPECIAL_TOKENS
  const maxTokens = options.maxTokens ?? limit
  if (maxTokens < 1 || maxTokens > limit)
    throw invalid(
      'invalid_config',
      `maxTokens ${maxTokens} is not within 1 and ${limit} of ${model.name}`,
      500,
    )
  const { device, precision } = plan
  const graph = await onnxGraph(model, { precision, fallbackDir: options.fallbackDir })
  const pool = new InferencePool({
    setup: { graph, tokenizer: model.tokenizer, dimensions, maxTokens, ...threadPlan(plan) },
    documentWorkers: options.documentWorkers ?? defaultWorkers(device),
    jobTokens: device === 'cpu' ? 512 : 65_536,
  })
  try {
    await pool.started
  } catch (error) {
    await pool.close()
    throw error
  }
  return {
    fingerprint: fingerprint(model, precision),
    name: `${model.name} (${precision}, ${device})`,
    dimensions,
    maxTokens,
    tokenizerPath: model.tokenizer,
    warning: plan.warning,
    embed: (passages, embedOptions) => pool.embed(passages, embedOptions),
    countTokens: (texts) => pool.countTokens(texts),
    async ping() {
      await pool.embed([{ text: 'ping' }], { lane: 'query', signal: AbortSignal.timeout(PING_TIMEOUT_MS) })
    },
    close: () => pool.close(),
  }
}

/**
 * On a CPU one thread a session and short runs are fastest: from 64 tokens on, more rows add nothing but padding, and
 * int8 scales activations over a whole run, so that a text which runs alone has the same vector whatever comes with it.
 */
function threadPlan({ device, precision }: Plan) {
  const intraOpThreads = 1
  if (device === 'cuda') return { device, intraOpThreads, runTokens: 16_384 }
  return { device, intraOpThreads, runTokens: precision === 'int8' ? 1 : 128 }
}

function defaultWorkers(device: 'cpu' | 'cuda'): number {
  return device === 'cuda' ? 1 : Math.min(availableParallelism(), MAX_DOCUMENT_WORKERS)
}

function fingerprint(model: ModelFiles, precision: Precision): string {
  const parts = [model.weightsSha256, model.tokenizerSha256, precision, POOLING, CONVERTER_VERSION]
  return createHash('sha256').update(parts.join('\n')).digest('hex').slice(0, 32)
}
