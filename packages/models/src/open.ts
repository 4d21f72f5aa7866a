import { join } from 'node:path'
import { AquiferError, invalid } from '@aquifer/runtime/errors'
import type { Embedder } from './embedder.ts'
import type { ModelSpec, PullProgress } from './pull.ts'

export interface OpenEmbedderOptions {
  readonly dataDir: string
  /** The process's environment: where the user's cache lies. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** For `openai:`. */
  readonly apiKey?: string
  /** Threads that embed documents; one a core unless told. */
  readonly documentWorkers?: number
  readonly onProgress?: (progress: PullProgress) => void
  readonly signal?: AbortSignal
}

const tokenizers = new WeakMap<Embedder, string>()

/** Path of the `tokenizer.json` that this embedder reads texts with, for `openTokenizer`; null where it is not here. */
export function tokenizerOf(embedder: Embedder): string | null {
  return tokenizers.get(embedder) ?? null
}

/**
 * The embedder that a URL names:
 *
 *   onnx:all-MiniLM-L6-v2?device=auto|cpu|cuda&precision=fp32|int8&maxTokens=510
 *   onnx:/a/folder/with/a/bert/model
 *   openai:https://host/v1?maxTokens=512#model
 *   lexical:
 *
 * A named model that cannot be had gives the lexical embedder, whose `warning` says why. Throws `invalid_config`, and
 * what the adapters throw.
 */
export async function openEmbedder(url: string, options: OpenEmbedderOptions): Promise<Embedder> {
  const scheme = url.slice(0, url.indexOf(':') + 1)
  if (scheme === 'onnx:') return await openOnnx(url, options)
  if (scheme === 'lexical:') {
    const { createLexicalEmbedder } = await import('./lexical-embedder.ts')
    return createLexicalEmbedder()
  }
  throw invalid('invalid_config', `the embedder ${url} is not one of onnx:, openai:, lexical:`)
}

async function openOnnx(url: string, options: OpenEmbedderOptions): Promise<Embedder> {
  const { pathname, searchParams } = new URL(url)
  const settings = readSettings(url, searchParams)
  const [{ createOnnxEmbedder }, pull] = await Promise.all([
    import('./onnx-embedder.ts'),
    import('./pull.ts'),
  ])
  const fallbackDir = join(options.dataDir, 'models')
  try {
    const name = decodeURIComponent(pathname)
    const model = name.includes('/')
      ? await pull.modelInFolder(name)
      : await pull.pullModel(specOf(name, pull.DEFAULT_MODEL), {
          ...options,
          cacheDirs: [fallbackDir, pull.userModelCache(options.env ?? {})],
        })
    const { documentWorkers } = options
    const embedder = await createOnnxEmbedder(model, {
      ...settings,
      ...(documentWorkers === undefined ? {} : { documentWorkers }),
      fallbackDir,
    })
    tokenizers.set(embedder, model.tokenizer)
    return embedder
  } catch (error) {
    if (!(error instanceof AquiferError) || error.code !== 'model_unavailable') throw error
    const { createLexicalEmbedder } = await import('./lexical-embedder.ts')
    return createLexicalEmbedder(
      `No embedding model: ${error.message} Until then words are compared, not meanings, and search finds less.`,
    )
  }
}

function specOf(name: string, known: ModelSpec): ModelSpec {
  if (name === known.name) return known
  throw invalid(
    'invalid_config',
    `the model ${name} is not known: use ${known.name}, or onnx:/path of a folder with config.json, tokenizer.json and model.safetensors`,
  )
}

function readSettings(url: string, parameters: URLSearchParams) {
  const allowed = {
    device: ['auto', 'cpu', 'cuda'],
    precision: ['fp32', 'int8'],
  } as const
  const wrong = (what: string) => invalid('invalid_config', `the embedder ${url}: ${what}`)
  for (const key of parameters.keys())
    if (!['device', 'precision', 'maxTokens'].includes(key))
      throw wrong(`${key} is none of device, precision, maxTokens`)
  function choice<K extends keyof typeof allowed>(key: K): (typeof allowed)[K][number] | undefined {
    const value = parameters.get(key)
    if (value === null) return undefined
    const found = allowed[key].find((each) => each === value)
    if (found === undefined) throw wrong(`${key}=${value} is none of ${allowed[key].join(', ')}`)
    return found
  }
  const device = choice('device')
  const precision = choice('precision')
  const maxTokens = parameters.get('maxTokens')
  if (maxTokens !== null && !/^[1-9]\d{0,4}$/.test(maxTokens))
    throw wrong(`maxTokens=${maxTokens} is not a whole number above 0`)
  return {
    ...(device && { device }),
    ...(precision && { precision }),
    ...(maxTokens && { maxTokens: Number(maxTokens) }),
  }
}
