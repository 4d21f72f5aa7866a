import { lookup } from 'node:dns'
import { request } from 'node:https'
import { BlockList, isIP } from 'node:net'
import type { LookupFunction } from 'node:net'
import type { Readable } from 'node:stream'
import { errorMessage, invalid, unavailable } from '@aquifer/runtime/errors'

/**
 * Addresses that are not the public Internet (IANA's special-purpose registries): loopback, private, link-local, carrier NAT,
 * documentation, multicast, reserved, and the IPv6 ways to write or to reach an IPv4 address.
 */
const notPublic = new BlockList()
for (const [network, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
] as const) {
  notPublic.addSubnet(network, prefix, 'ipv4')
}
for (const [network, prefix] of [
  ['::', 96],
  ['64:ff9b::', 96],
  ['64:ff9b:1::', 48],
  ['100::', 64],
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
  ['5f00::', 16],
  ['fc00::', 7],
  ['fe80::', 10],
  ['fec0::', 10],
  ['ff00::', 8],
] as const) {
  notPublic.addSubnet(network, prefix, 'ipv6')
}

const TIMEOUT_MS = 30_000

/** An IPv4 address written as IPv6 (`::ffff:…`, dotted or not) is judged as what it is. */
export function isPublicAddress(address: string): boolean {
  const family = isIP(address)
  return family !== 0 && !notPublic.check(address, family === 4 ? 'ipv4' : 'ipv6')
}

/** The address is checked when it is connected to, so that a name cannot change its meaning in between. */
const publicLookup: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, { ...options, all: true }, (error, addresses) => {
    if (error) return callback(error, '')
    const refused = addresses.find(({ address }) => !isPublicAddress(address))
    if (refused || addresses.length === 0) {
      return callback(invalid('invalid_uri', `${hostname} is a private address`), '')
    }
    if (options.all) return callback(null, addresses)
    callback(null, addresses[0]!.address, addresses[0]!.family)
  })
}

/** Throws `invalid_uri` for anything but an https address of an allowed host. */
export function checkUri(uri: string, allowedHosts: readonly string[]): URL {
  if (!URL.canParse(uri)) throw invalid('invalid_uri', `${JSON.stringify(uri.slice(0, 100))} is not a URI`)
  const url = new URL(uri)
  if (url.protocol !== 'https:' || url.username !== '' || url.password !== '') {
    throw invalid('invalid_uri', 'a document uri is blob:… or https://… without credentials')
  }
  if (!allowedHosts.includes(url.hostname) || isIP(url.hostname.replace(/^\[|\]$/g, '')) !== 0) {
    throw invalid('invalid_uri', `the host ${url.hostname} is not on the allow list AQUIFER_URI_HOSTS`)
  }
  return url
}

/** Opens an allowed address; redirects are not followed, since each would have to be allowed anew. */
export async function openUri(
  url: URL,
  signal: AbortSignal,
): Promise<{ content: Readable; contentType: string | null }> {
  return await new Promise((resolve, reject) => {
    const call = request(
      url,
      { lookup: publicLookup, signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]) },
      (response) => {
        const status = response.statusCode ?? 0
        if (status === 200)
          return resolve({ content: response, contentType: response.headers['content-type'] ?? null })
        response.destroy()
        const message = `${url.hostname} answered ${status}`
        reject(
          status >= 500 || status === 429
            ? unavailable('uri_unavailable', message)
            : invalid('invalid_uri', message),
        )
      },
    )
    call.on('error', (cause) =>
      reject(
        'code' in cause && cause.code === 'invalid_uri'
          ? cause
          : unavailable('uri_unavailable', `${url.hostname}: ${errorMessage(cause)}`, cause),
      ),
    )
    call.end()
  })
}
