import { readFileSync } from 'node:fs'
import { invalid } from '@aquifer/runtime/errors'

const MECHANISMS = ['plain', 'scram-sha-256', 'scram-sha-512'] as const
const OPTIONS = ['clientId', 'mechanism', 'ca', 'replicationFactor', 'minInsyncReplicas']
const DEFAULT_PORT = 9092

/** What a Kafka URL says. */
export interface KafkaAddress {
  /** `host:port` each. */
  readonly brokers: readonly string[]
  readonly clientId: string
  readonly ssl: { readonly ca?: readonly string[] } | null
  readonly sasl: { readonly mechanism: string; readonly username: string; readonly password: string } | null
  /** Of topics that are created; null is the broker's default. */
  readonly replicationFactor: number | null
  readonly minInsyncReplicas: number | null
}

/**
 * `kafka://host:9092,host2:9092?option=…`, or `kafka+ssl://user:password@host:9092` with TLS and a login. Options:
 * `mechanism` (plain, scram-sha-256, scram-sha-512), `ca` (a PEM file to trust instead of the system's authorities),
 * `clientId`, `replicationFactor` and `minInsyncReplicas` of the topics that are created. Throws `invalid_url`, which names
 * what is wrong and never the password.
 */
export function parseKafkaUrl(url: string): KafkaAddress {
  const parts = /^kafka(\+ssl)?:\/\/(?:([^@/?#]*)@)?([^@/?#]*)\/?(?:\?([^#]*))?$/.exec(url)
  if (!parts) throw wrong('it does not read kafka://host:port,… or kafka+ssl://user:password@host:port,…')
  const [, secure, login, hosts, query] = parts
  const options = new URLSearchParams(query)
  for (const name of options.keys())
    if (!OPTIONS.includes(name)) throw wrong(`${name} is no option: there are ${OPTIONS.join(', ')}`)
  const ca = options.get('ca')
  if (ca !== null && !secure) throw wrong('ca is given without TLS: write kafka+ssl://')
  return {
    brokers: hosts!.split(',').map(brokerOf),
    clientId: options.get('clientId') ?? 'aquifer',
    ssl: secure ? (ca === null ? {} : { ca: [readAuthority(ca)] }) : null,
    sasl: saslOf(login, options.get('mechanism'), secure !== undefined),
    replicationFactor: count(options, 'replicationFactor'),
    minInsyncReplicas: count(options, 'minInsyncReplicas'),
  }
}

function wrong(what: string): Error {
  return invalid('invalid_url', `the Kafka URL is wrong: ${what}`)
}

function brokerOf(text: string): string {
  const [, host, port = DEFAULT_PORT] = /^([\w.-]+)(?::(\d{1,5}))?$/.exec(text) ?? []
  if (host === undefined || Number(port) < 1 || Number(port) > 65_535)
    throw wrong(`${JSON.stringify(text)} is no host:port`)
  return `${host}:${port}`
}

function saslOf(login: string | undefined, named: string | null, secure: boolean): KafkaAddress['sasl'] {
  if (login === undefined) {
    if (named !== null) throw wrong('mechanism is given without user:password')
    return null
  }
  const mechanism = named ?? 'plain'
  if (!(MECHANISMS as readonly string[]).includes(mechanism))
    throw wrong(`mechanism ${mechanism} is none of ${MECHANISMS.join(', ')}`)
  if (mechanism === 'plain' && !secure)
    throw wrong('the password would travel readable: write kafka+ssl://, or choose mechanism=scram-sha-512')
  const colon = login.indexOf(':')
  if (colon < 1) throw wrong('before the @ stands user:password, percent-encoded')
  try {
    const [username, password] = [login.slice(0, colon), login.slice(colon + 1)].map(decodeURIComponent)
    return { mechanism, username: username!, password: password! }
  } catch {
    throw wrong('user and password must be percent-encoded')
  }
}

function readAuthority(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw invalid('invalid_url', `the Kafka URL is wrong: ca ${path} cannot be read`, 400, cause)
  }
}

function count(options: URLSearchParams, name: string): number | null {
  const text = options.get(name)
  if (text === null) return null
  if (!/^[1-9]\d{0,2}$/.test(text)) throw wrong(`${name} ${JSON.stringify(text)} is no number from 1 to 999`)
  return Number(text)
}
