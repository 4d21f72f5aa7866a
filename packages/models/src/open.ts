import { join } from 'node:path'
import { invalid } from '@aquifer/runtime/errors'
import type { Embedder } from './embedder.ts'
import type { Generator } from './generator.ts'
import type { ModelSpec, PullProgress } from './pull.ts'

export interface OpenEmbedderOptions {
  readonly dataDir: string
  /** The process's environment: where the user's cache lies. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** For `openai:`. */
  readonly apiKey?: string
  /** That embed documents; one a core unless told. */
  readonly threads?: number | undefined
  /** Told often while a model is fetched. */
  readonly onProgress?: (progress: PullProgress) => void
  readonly signal?: AbortSignal
}

/**
 * The embedder that a URL names:
 *
 *   onnx:all-MiniLM-L6-v2?device=auto|cpu|cuda&precision=fp32|int8&maxTokens=510
 *   onnx:/a/folder/with/a/bert/model
 *   openai:https://host/v1?maxTokens=512#model
 *   lexical:
 *
 * Throws `invalid_config`, `model_unavailable` where a model cannot be fetched (`lexical:` can stand in), and what the
 * adapters throw.
 */
export async function openEmbedder(url: string, options: OpenEmbedderOptions): Promise<Embedder> {
  const scheme = url.slice(0, url.indexOf(':') + 1)
  if (scheme === 'onnx:') return await openOnnx(url, options)
  if (scheme === 'openai:') {
    const [{ createOpenaiEmbedder }, { parseOpenaiUrl }] = await Promise.all([
      import('./openai-embedder.ts'),
      import('./openai-client.ts'),
    ])
    const { numbers, ...server } = parseOpenaiUrl(url, ['maxTokens', 'maxBatchItems', 'timeoutMs'])
    return await createOpenaiEmbedder({ ...server, ...numbers, apiKey: options.apiKey })
  }
  if (scheme === 'lexical:') {
    const { createLexicalEmbedder } = await import('./lexical-embedder.ts')
    return createLexicalEmbedder()
  }
  throw invalid('invalid_config', `the embedder ${url} is not one of onnx:, openai:, lexical:`)
}

export interface OpenGeneratorOptions {
  /** Helps the extractive generator to tell what answers the question. */
  readonly embedder: Embedder | null
  /** For `openai:`. */
  readonly apiKey?: string
}

/**
 * The generator that a URL names: `extractive:`, or `openai:https://host/v1?contextTokens=8192&maxOutputTokens=1024#model`.
 * Throws `invalid_config`.
 */
export async function openGenerator(url: string, options: OpenGeneratorOptions): Promise<Generator> {
  if (url.startsWith('extractive:')) {
    const { createExtractiveGenerator } = await import('./extractive.ts')
    return createExtractiveGenerator({ embedder: options.embedder })
  }
  if (!url.startsWith('openai:'))
    throw invalid('invalid_config', `the generator ${url} is not one of extractive:, openai:`)
  const [{ createOpenaiGenerator }, { parseOpenaiUrl }] = await Promise.all([
    import('./openai-generator.ts'),
    import('./openai-client.ts'),
  ])
  const { numbers, ...server } = parseOpenaiUrl(url, ['contextTokens', 'maxOutputTokens'])
  return createOpenaiGenerator({ ...server, ...numbers, apiKey: options.apiKey })
}

async function openOnnx(url: string, options: OpenEmbedderOptions): Promise<Embedder> {
  const { pathname, searchParams } = new URL(url)
  const settings = readSettings(url, searchParams)
  const [{ createOnnxEmbedder }, pull] = await Promise.all([
    import('./onnx-embedder.ts'),
    import('./pull.ts'),
  ])
  const { dataDir, env = {}, signal, onProgress, threads } = options
  const fallbackDir = join(dataDir, 'models')
  const name = decodeURIComponent(pathname)
  const model = name.includes('/')
    ? await pull.modelInFolder(name)
    : await pull.pullModel(specOf(name, pull.DEFAULT_MODEL), {
        cacheDirs: [fallbackDir, pull.userModelCache(env)],
        env,
        ...(onProgress && { onProgress }),
        ...(signal && { signal }),
      })
  return await createOnnxEmbedder(model, {
    ...settings,
    ...(threads !== undefined && { documentWorkers: threads }),
    fallbackDir,
  })
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
