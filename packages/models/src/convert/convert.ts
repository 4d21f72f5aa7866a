import { access, constants, mkdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { errorMessage, invalid } from '@aquifer/runtime/errors'
import type { ModelFiles } from '../pull.ts'
import { CONVERTER_VERSION, type BertConfig, type Precision } from './bert-graph.ts'

/** What the converting worker does: reads `safetensors`, writes the graph to `path`. */
export interface ConvertTask {
  readonly safetensors: string
  readonly path: string
  readonly config: BertConfig
  readonly precision: Precision
  /** See `GraphOptions`. */
  readonly weightsBeside: string | null
}

export interface ConvertOptions {
  readonly precision: Precision
  /** Takes the graph where the model's own folder cannot be written. */
  readonly fallbackDir: string
}

/**
 * The path of the model's ONNX graph, made in a worker thread if it is not there yet. Throws `model_unreadable`.
 * A graph is named after what it is made from, and comes into place whole.
 */
export async function onnxGraph(model: ModelFiles, options: ConvertOptions): Promise<string> {
  const config = bertConfig(model)
  const weights = model.weightsSha256.slice(0, 12)
  const name = `graph-${weights}-v${CONVERTER_VERSION}-${options.precision}.onnx`
  const beside = await isWritable(model.dir)
  const path = join(beside ? model.dir : join(options.fallbackDir, model.name), name)
  if (await exists(path)) return path
  await mkdir(dirname(path), { recursive: true })
  const { safetensors } = model
  const weightsBeside = beside ? 'model.safetensors' : null
  await convertInWorker({ safetensors, path, config, precision: options.precision, weightsBeside })
  return path
}

async function convertInWorker(task: ConvertTask): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const worker = new Worker(new URL('convert-worker.ts', import.meta.url), { workerData: task })
    worker.once('error', (cause) =>
      reject(
        invalid(
          'model_unreadable',
          `${task.safetensors} cannot be converted: ${errorMessage(cause)}`,
          500,
          cause,
        ),
      ),
    )
    worker.once('exit', () => resolve())
  })
}

/** What `config.json` says of a BERT model. Throws `model_unreadable` for what the converter would get wrong. */
export function bertConfig({ config, dir }: ModelFiles): BertConfig {
  const number = (key: string): number => {
    const value = config[key]
    if (typeof value !== 'number') throw unsupported(dir, `${key} is ${JSON.stringify(value)}, not a number`)
    return value
  }
  if (config['model_type'] !== 'bert')
    throw unsupported(
      dir,
      `model_type is ${JSON.stringify(config['model_type'])}; only "bert" can be converted`,
    )
  if (config['hidden_act'] !== 'gelu')
    throw unsupported(
      dir,
      `hidden_act is ${JSON.stringify(config['hidden_act'])}; only "gelu" can be converted`,
    )
  return {
    heads: number('num_attention_heads'),
    layers: number('num_hidden_layers'),
    dimensions: number('hidden_size'),
    epsilon: number('layer_norm_eps'),
    positions: number('max_position_embeddings'),
  }
}

function unsupported(dir: string, why: string): Error {
  return invalid('model_unreadable', `${join(dir, 'config.json')}: ${why}`, 500)
}

async function isWritable(dir: string): Promise<boolean> {
  return await access(dir, constants.W_OK).then(
    () => true,
    () => false,
  )
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  )
}
