import { createHash, timingSafeEqual } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { z } from 'zod'
import { isLoopback } from './config.ts'
import { invalid } from './errors.ts'

/** Who calls. */
export interface Identity {
  readonly tenant: string
  /** Groups that the caller reads with; null for an admin, who reads all of the tenant. */
  readonly groups: readonly string[] | null
  readonly canWrite: boolean
  /** May also see what names no tenant, such as a dead letter with a broken key. */
  readonly operator?: boolean
}

/** A line of the keys file. Roles: `admin`, `reader` (reads only), `operator` (of an admin: sees what names no tenant); any other reads and writes. */
export const apiKey = z.object({
  sha256: z.string().regex(/^[0-9a-f]{64}$/i),
  tenant: z.string().regex(/^[a-z0-9_-]{1,63}$/),
  groups: z.array(z.string()).default([]),
  roles: z.array(z.string()).default([]),
})
export type ApiKey = z.infer<typeof apiKey>

export interface RequestHead {
  header(name: string): string | undefined
}

/** Says who a request is from, or throws 401 `unauthenticated` or 403 `foreign_host` / `foreign_origin`. */
export type Authenticate = (request: RequestHead) => Identity

export function hashKey(key: string): string {
  return createHash('sha256').update(key).digest('hex')
}

export function readKeys(path: string): ApiKey[] {
  const lines = readFileSync(path, 'utf8').split('\n')
  return lines.flatMap((line, index) => {
    if (line.trim() === '') return []
    try {
      return [apiKey.parse(JSON.parse(line))]
    } catch (cause) {
      throw invalid(
        'invalid_config',
        `${path}:${index + 1} is not an API key {sha256, tenant, groups, roles}`,
        500,
        cause,
      )
    }
  })
}

/** Every key of the file; a change of the file counts from the next request on. */
export function keyAuthenticator(path: string): Authenticate {
  let keys = readKeys(path)
  let changedMs = statSync(path).mtimeMs

  return (request) => {
    const mtimeMs = statSync(path).mtimeMs
    if (mtimeMs !== changedMs) {
      keys = readKeys(path)
      changedMs = mtimeMs
    }
    const bearer = /^Bearer\s+(\S+)$/i.exec(request.header('authorization') ?? '')?.[1]
    const presented = bearer ?? request.header('x-api-key')
    const digest = presented === undefined ? null : Buffer.from(hashKey(presented), 'hex')
    const key = digest && keys.find(({ sha256 }) => timingSafeEqual(Buffer.from(sha256, 'hex'), digest))
    if (!key) {
      throw invalid('unauthenticated', 'this request needs a valid API key: Authorization: Bearer <key>', 401)
    }
    const admin = key.roles.includes('admin')
    return {
      tenant: key.tenant,
      groups: admin ? null : key.groups,
      canWrite: admin || !key.roles.includes('reader') || key.roles.includes('writer'),
      ...(key.roles.includes('operator') ? { operator: true } : {}),
    }
  }
}

/**
 * Without keys only this machine is served, and the caller is admin of the tenant `default`. `Host` and `Origin` must be
 * loopback, so that a web page elsewhere cannot reach the server through the user's browser (DNS rebinding, CSRF).
 */
export const loopbackAuthenticator: Authenticate = (request) => {
  checkLocalHost(request)
  const origin = request.header('origin')
  const site = request.header('sec-fetch-site')
  if ((origin !== undefined && !isLocalOrigin(origin)) || site === 'cross-site') {
    throw invalid(
      'foreign_origin',
      `requests from ${JSON.stringify(origin ?? site)} are refused: set AQUIFER_API_KEYS to serve other sites`,
      403,
    )
  }
  return { tenant: 'default', groups: null, canWrite: true, operator: true }
}

/** Throws 403 `foreign_host` where the request was not addressed to loopback. */
export function checkLocalHost(request: RequestHead): void {
  const host = hostName(request.header('host') ?? '')
  if (host === null || !isLoopback(host)) {
    throw invalid(
      'foreign_host',
      `the Host header ${JSON.stringify(request.header('host') ?? '')} is not this machine`,
      403,
    )
  }
}

function hostName(host: string): string | null {
  return URL.canParse(`http://${host}`) ? new URL(`http://${host}`).hostname : null
}

function isLocalOrigin(origin: string): boolean {
  if (!URL.canParse(origin)) return false
  const { protocol, hostname } = new URL(origin)
  return (protocol === 'http:' || protocol === 'https:') && isLoopback(hostname)
}

/** May someone in `groups` (null: an admin) read what is restricted to `access` (null: the whole tenant)? */
export function mayRead(access: readonly string[] | null, groups: readonly string[] | null): boolean {
  return groups === null || access === null || access.some((group) => groups.includes(group))
}

export function requireWrite(identity: Identity): void {
  if (!identity.canWrite) throw invalid('forbidden', 'this key may read only', 403)
}

export function requireAdmin(identity: Identity): void {
  if (identity.groups !== null) throw invalid('forbidden', 'this needs a key with the role admin', 403)
}
