import { createServer } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import avro from 'avsc'

/**
 * A schema registry for tests, after the documentation of Confluent's API: as strict as that about paths, content types and error
 * codes, with one id for one schema text, and compatibility checked by avsc. Not the real one, and not for anything else.
 * https://docs.confluent.io/platform/current/schema-registry/develop/api.html
 */
export async function startTestRegistry(): Promise<{ url: string; stop: () => Promise<void> }> {
  const schemas: Stored[] = []
  const subjects = new Map<string, number[]>()
  const levels = new Map<string, string>()

  function check(subject: string, given: Stored): void {
    const level = levels.get(subject) ?? 'BACKWARD'
    if (level === 'NONE') return
    const all = (subjects.get(subject) ?? []).map((id) => schemas[id - 1]!)
    const against = level.endsWith('_TRANSITIVE') ? all : all.slice(-1)
    for (const other of against) {
      const [ours, theirs] = [typeOf(given), typeOf(other)]
      try {
        if (!level.startsWith('FORWARD')) ours.createResolver(theirs)
        if (!level.startsWith('BACKWARD')) theirs.createResolver(ours)
      } catch (error) {
        throw new Refusal(
          409,
          409,
          `Schema being registered is incompatible with an earlier schema: ${String(error)}`,
        )
      }
    }
  }
  function typeOf(
    stored: Stored,
    names: Record<string, avro.Type> = {},
    seen = new Set<Stored>(),
  ): avro.Type {
    for (const { subject, version } of stored.references ?? []) {
      const referred = versionOf(subject, version)
      if (!seen.has(referred)) typeOf(referred, names, seen.add(referred))
    }
    try {
      return avro.Type.forSchema(JSON.parse(stored.schema) as avro.Schema, {
        registry: names,
        wrapUnions: 'auto',
      })
    } catch (error) {
      throw new Refusal(422, 42201, `Invalid schema: ${String(error)}`)
    }
  }
  function versionOf(subject: string, version: number): Stored {
    const ids = subjects.get(subject)
    if (!ids) throw new Refusal(404, 40401, `Subject '${subject}' not found.`)
    if (!ids[version - 1]) throw new Refusal(404, 40402, `Version ${version} not found.`)
    return schemas[ids[version - 1]! - 1]!
  }
  const same = (a: Stored, b: Stored) =>
    a.schema === b.schema && JSON.stringify(a.references ?? []) === JSON.stringify(b.references ?? [])

  const routes: readonly [string, RegExp, (parts: string[], body: Body) => object][] = [
    ['GET', /^\/subjects$/, () => [...subjects.keys()]],
    [
      'GET',
      /^\/schemas\/ids\/(\d+)$/,
      ([id]) => schemas[Number(id) - 1] ?? missing(40403, 'Schema not found'),
    ],
    [
      'GET',
      /^\/subjects\/([^/]+)\/versions\/(\d+|latest)$/,
      ([subject, version]) => ({
        subject,
        ...versionOf(
          subject!,
          version === 'latest' ? (subjects.get(subject!)?.length ?? 0) : Number(version),
        ),
      }),
    ],
    [
      'POST',
      /^\/subjects\/([^/]+)$/,
      ([subject], body) => {
        const ids = subjects.get(subject!) ?? missing(40401, `Subject '${subject}' not found.`)
        const id =
          ids.find((each) => same(schemas[each - 1]!, storedOf(body))) ?? missing(40403, 'Schema not found')
        return { subject, id, version: ids.indexOf(id) + 1, schema: body.schema }
      },
    ],
    [
      'POST',
      /^\/subjects\/([^/]+)\/versions$/,
      ([subject], body) => {
        const given = storedOf(body)
        typeOf(given)
        const ids = subjects.get(subject!) ?? []
        let id = schemas.findIndex((each) => same(each, given)) + 1
        if (id > 0 && ids.includes(id)) return { id }
        check(subject!, given)
        if (id === 0) id = schemas.push(given)
        subjects.set(subject!, [...ids, id])
        return { id }
      },
    ],
    [
      'DELETE',
      /^\/subjects\/([^/]+)$/,
      ([subject]) => {
        const ids = subjects.get(subject!) ?? missing(40401, `Subject '${subject}' not found.`)
        subjects.delete(subject!)
        levels.delete(subject!)
        return ids.map((_, i) => i + 1)
      },
    ],
    [
      'GET',
      /^\/config\/([^/]+)$/,
      ([subject]) => ({
        compatibilityLevel:
          levels.get(subject!) ??
          missing(40408, `Subject '${subject}' does not have subject-level compatibility configured`),
      }),
    ],
    [
      'PUT',
      /^\/config\/([^/]+)$/,
      ([subject], body) => {
        if (!/^(?:NONE|(?:BACKWARD|FORWARD|FULL)(?:_TRANSITIVE)?)$/.test(body.compatibility ?? ''))
          throw new Refusal(422, 42203, 'Invalid compatibility level')
        levels.set(subject!, body.compatibility!)
        return { compatibility: body.compatibility }
      },
    ],
  ]

  async function answer(request: IncomingMessage): Promise<object> {
    const route = routes.find(([method, path]) => method === request.method && path.test(request.url!))
    if (!route) throw new Refusal(404, 404, 'HTTP 404 Not Found')
    const hasBody = request.method === 'POST' || request.method === 'PUT'
    if (hasBody && !ACCEPTED.has(request.headers['content-type'] ?? ''))
      throw new Refusal(415, 415, 'HTTP 415 Unsupported Media Type')
    const body = hasBody ? ((await json(request)) as Body) : {}
    const parts = route[1].exec(request.url!)!.slice(1).map(decodeURIComponent)
    return route[2](parts, body)
  }

  const server = createServer((request, response) => {
    const send = (status: number, body: object) =>
      response.writeHead(status, { 'content-type': CONTENT_TYPE }).end(JSON.stringify(body))
    answer(request).then(
      (body) => send(200, body),
      (error: unknown) =>
        error instanceof Refusal
          ? send(error.status, { error_code: error.errorCode, message: error.message })
          : send(500, { error_code: 50001, message: String(error) }),
    )
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async stop() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

const CONTENT_TYPE = 'application/vnd.schemaregistry.v1+json'
const ACCEPTED = new Set([CONTENT_TYPE, 'application/vnd.schemaregistry+json', 'application/json'])

interface Stored {
  readonly schema: string
  readonly references?: readonly { name: string; subject: string; version: number }[]
}
type Body = Partial<Stored> & { readonly schemaType?: string; readonly compatibility?: string }

class Refusal extends Error {
  readonly status: number
  readonly errorCode: number

  constructor(status: number, errorCode: number, message: string) {
    super(message)
    this.status = status
    this.errorCode = errorCode
  }
}

function missing(errorCode: number, message: string): never {
  throw new Refusal(404, errorCode, message)
}

function storedOf({ schema, references, schemaType = 'AVRO' }: Body): Stored {
  if (schema === undefined || schemaType !== 'AVRO') throw new Refusal(422, 42201, 'Invalid schema')
  return { schema, ...(references && references.length > 0 && { references }) }
}
