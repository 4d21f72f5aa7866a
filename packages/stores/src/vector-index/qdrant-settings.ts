import { invalid } from '@aquifer/runtime/errors'

export interface QdrantSettings {
  readonly https: boolean
  readonly host: string
  readonly port: number
  /** Of every path: '' or '/…'. */
  readonly prefix: string
  readonly apiKey: string | null
  /** Begins the name of each collection and alias, so that several Aquifers can share a server. */
  readonly namespace: string
  readonly timeoutMs: number
  /** The rest holds for collections that are made from then on. */
  readonly quantization: 'none' | 'int8' | 'binary'
  readonly onDisk: boolean
  readonly shards: number
  readonly replicationFactor: number
  /** So many replicas have a write before it is answered. */
  readonly writeConsistencyFactor: number
}

const NAMESPACE = /^[A-Za-z0-9_.]{1,64}$/

/**
 * Reads `qdrant://KEY@host:6333/prefix?quantization=int8&onDisk=true` (`qdrant+https:` for TLS). The key may be user or
 * password; all of the query is optional: `namespace`, `timeoutMs`, `quantization` (none, int8, binary), `onDisk`,
 * `shards`, `replicationFactor`, `writeConsistencyFactor` (default: all replicas). Throws `invalid_config`.
 */
export function readQdrantUrl(text: string): QdrantSettings {
  let url: URL
  try {
    url = new URL(text)
  } catch (cause) {
    throw invalid('invalid_config', 'the URL of Qdrant is none, such as qdrant://host:6333', 400, cause)
  }
  if (url.protocol !== 'qdrant:' && url.protocol !== 'qdrant+https:') {
    throw invalid(
      'invalid_config',
      `the URL of Qdrant begins with qdrant: or qdrant+https:, not ${url.protocol}`,
    )
  }
  if (url.hostname === '') throw invalid('invalid_config', 'the URL of Qdrant names no host')
  const { take, integer, rest } = reader(url.searchParams)
  const namespace = take('namespace') ?? 'aquifer'
  if (!NAMESPACE.test(namespace)) throw wrong('namespace', namespace, '1 to 64 letters, digits, _ or .')
  const replicationFactor = integer('replicationFactor', 1, 64, 1)
  const settings: QdrantSettings = {
    https: url.protocol === 'qdrant+https:',
    host: url.hostname,
    port: url.port === '' ? 6333 : Number(url.port),
    prefix: url.pathname.replace(/\/+$/, ''),
    apiKey: decodeURIComponent(url.password || url.username) || null,
    namespace,
    timeoutMs: integer('timeoutMs', 1, 600_000, 30_000),
    quantization: oneOf('quantization', take('quantization') ?? 'none', ['none', 'int8', 'binary']),
    onDisk: oneOf('onDisk', take('onDisk') ?? 'false', ['false', 'true']) === 'true',
    shards: integer('shards', 1, 1024, 1),
    replicationFactor,
    writeConsistencyFactor: integer('writeConsistencyFactor', 1, replicationFactor, replicationFactor),
  }
  const [unknown] = rest()
  if (unknown !== undefined) throw invalid('invalid_config', `the URL of Qdrant has no option ${unknown}`)
  return settings
}

interface Reader {
  readonly take: (name: string) => string | null
  readonly integer: (name: string, least: number, most: number, standard: number) => number
  /** Names that nothing was read of. */
  readonly rest: () => string[]
}

function reader(given: URLSearchParams): Reader {
  const known = new Set<string>()
  const take = (name: string): string | null => {
    known.add(name)
    return given.get(name)
  }
  return {
    take,
    integer: (name, least, most, standard) => {
      const value = take(name)
      if (value === null) return standard
      const number = /^\d+$/.test(value) ? Number(value) : Number.NaN
      if (!(number >= least && number <= most))
        throw wrong(name, value, `an integer from ${least} to ${most}`)
      return number
    },
    rest: () => [...given.keys()].filter((name) => !known.has(name)),
  }
}

function oneOf<T extends string>(name: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((each) => each === value)
  if (found === undefined) throw wrong(name, value, allowed.join(', '))
  return found
}

function wrong(name: string, value: string, allowed: string): Error {
  return invalid('invalid_config', `${name}=${value} in the URL of Qdrant: it is ${allowed}`)
}
