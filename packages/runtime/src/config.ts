import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { z } from 'zod'
import { invalid } from './errors.ts'

const MIB = 1024 * 1024
const whole = (min: number, max: number) => z.coerce.number().int().min(min).max(max)
const url = (schemes: readonly string[]) =>
  z.string().refine((value) => schemes.some((scheme) => value.startsWith(scheme)), {
    message: `expected one that starts with ${schemes.join(' or ')}`,
  })
/** Embedded in the data directory (a path here would be passed over), or a server that many processes share. */
const store = (embedded: string, servers: readonly string[]) =>
  z
    .string()
    .refine((value) => value === embedded || servers.some((scheme) => value.startsWith(`${scheme}//`)), {
      message: `expected ${embedded} or one that starts with ${servers.map((scheme) => `${scheme}//`).join(' or ')}`,
    })
    .default(embedded)
const names = z.preprocess(
  (value) =>
    typeof value === 'string'
      ? value
          .split(',')
          .map((name) => name.trim())
          .filter(Boolean)
      : value,
  z.array(z.string()),
)
const action = z.enum(['allow', 'mark', 'redact', 'quarantine'])

/** The one configuration of a process. Each field is set by the variable of its name, AQUIFER_DATA_DIR for `dataDir`. */
const schema = z.strictObject({
  dataDir: z.string().min(1).default('.aquifer'),
  host: z.string().min(1).default('127.0.0.1'),
  port: whole(0, 65535).default(8080),
  eventLog: store('sqlite:', ['kafka:', 'kafka+ssl:']),
  vectorIndex: store('lancedb:', ['qdrant:', 'qdrant+https:']),
  state: store('sqlite:', ['redis:', 'rediss:']),
  blobs: store('file:', ['s3:']),
  /** Confluent's API; absent takes the schemas and ids of schemas/. */
  schemaRegistry: url(['http://', 'https://']).optional(),
  embedder: url(['onnx:', 'openai:', 'lexical:']).default('onnx:all-MiniLM-L6-v2'),
  generator: url(['extractive:', 'openai:']).default('extractive:'),
  /** Bearer key of an `openai:` embedder or generator. */
  openaiApiKey: z.string().default(''),
  /** Share of the answers that are evaluated; 1 on the embedded log and 0.1 on Kafka unless told. */
  sampleRate: z.coerce.number().min(0).max(1).optional(),
  /** File of JSON lines {sha256, tenant, groups, roles}. */
  apiKeys: z.string().optional(),
  logLevel: z.enum(['silent', 'fatal', 'error', 'warn', 'info', 'debug', 'trace']).default('info'),
  partitions: whole(1, 64).default(4),
  maxDocumentBytes: whole(1, 4096 * MIB).default(64 * MIB),
  maxPages: whole(1, 100_000).default(5000),
  parseTimeoutMs: whole(100, 600_000).default(30_000),
  parseMemoryMb: whole(64, 8192).default(512),
  /** File of passwords, one a line, that protected documents are tried with. */
  documentPasswordsFile: z.string().min(1).optional(),
  parseThreads: whole(1, 64).default(1),
  embedThreads: whole(1, 64).optional(),
  /** Hosts that a document's https `uri` may name. */
  uriHosts: names.default([]),
  /** Folders whose files are documents: `/path`, or `name=/path` for the prefix of their ids. */
  watch: names.default([]),
  watchTenant: z
    .string()
    .regex(/^[a-z0-9_-]{1,63}$/, 'expected a tenant, [a-z0-9_-]{1,63}')
    .default('default'),
  /** As the header Aquifer-Access: groups separated by commas, `*` for all. */
  watchAccess: z.string().optional(),
  guardInjection: action.default('mark'),
  guardPersonalData: action.default('allow'),
  guardActiveContent: action.default('mark'),
  /** Whether personal data is taken out of what goes to the sampled topic. */
  redactSampled: z.stringbool().or(z.boolean()).default(true),
})

export type Config = Omit<z.infer<typeof schema>, 'sampleRate'> & { readonly sampleRate: number }

/** Whether every store that has one owner process is replaced by a server, so that services can run apart. */
export function isShared({ eventLog, vectorIndex, state }: Config): boolean {
  return eventLog !== 'sqlite:' && vectorIndex !== 'lancedb:' && state !== 'sqlite:'
}

function variableOf(field: string): string {
  return `AQUIFER_${field.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`
}

/**
 * Reads `aquifer.config.yaml` of the working directory and the environment; the variable wins.
 * Throws `invalid_config`, naming the variable, its value and what is allowed.
 */
export function readConfig(env: NodeJS.ProcessEnv, workingDir: string): Config {
  const file = join(workingDir, 'aquifer.config.yaml')
  const fromFile: unknown = existsSync(file) ? parse(readFileSync(file, 'utf8')) : {}
  const settings: Record<string, unknown> = { ...(fromFile as Record<string, unknown> | null) }
  for (const field of Object.keys(schema.shape)) {
    const value = env[variableOf(field)]
    if (value !== undefined && value !== '') settings[field] = value
  }
  const result = schema.safeParse(settings)
  if (!result.success) {
    const lines = result.error.issues.map((issue) => {
      const field = String(issue.path[0] ?? '')
      if (field === '') return `aquifer.config.yaml: ${issue.message}`
      const shown = field === 'openaiApiKey' ? 'the value given' : withoutPassword(settings[field])
      return `${variableOf(field)}=${shown}: ${issue.message}`
    })
    throw invalid('invalid_config', lines.join('\n'))
  }
  const config = {
    ...result.data,
    sampleRate: result.data.sampleRate ?? (result.data.eventLog === 'sqlite:' ? 1 : 0.1),
  }
  if (!isLoopback(config.host) && config.apiKeys === undefined) {
    throw invalid(
      'invalid_config',
      `AQUIFER_HOST=${JSON.stringify(config.host)}: without AQUIFER_API_KEYS only a loopback address is served (127.0.0.1, ::1, localhost)`,
    )
  }
  return config
}

/** As JSON; what stands before the @ of a URL is not for a terminal or a log. */
function withoutPassword(value: unknown): string {
  return JSON.stringify(value)?.replace(/:(\/\/)?[^/@"]+@/g, ':$1***@') ?? String(value)
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(host)
}
