import type { Identity } from '@aquifer/runtime/auth'
import { formatReceipt, formatVersion } from '@aquifer/contracts/version'
import type { Position } from '../oracle/facts.ts'
import { fire } from './faults.ts'
import type { Doc } from './producers.ts'
import type { World } from './world.ts'

/** Who asks. What they are answered becomes a fact; a query that fails, or whose process dies, is none. */
export interface Readers {
  /** Asks for all of a document; with a receipt, waits until it is visible. Returns the texts, null where it failed. */
  readWhole(doc: Doc, identity: Identity, receipt?: Position): Promise<string[] | null>
  /** The extracted text of a document. */
  readText(doc: Doc, identity: Identity): Promise<void>
  /** Asks about everything that the caller may read. */
  search(identity: Identity): Promise<void>
  chat(identity: Identity, doc: Doc | null): Promise<void>
}

interface Hits {
  readonly hits: readonly {
    readonly text: string
    readonly title: string | null
    readonly headings: readonly string[]
  }[]
  readonly fresh: boolean
}
interface Completion {
  readonly choices: readonly { readonly message: { readonly content: string } }[]
  readonly aquifer: { readonly citations: readonly { readonly quote: string }[] }
}

const JSON_HEADERS = { 'Content-Type': 'application/json' }

export function createReaders(world: World): Readers {
  const { time, facts, faults } = world
  let queries = 0

  function begin({ tenant, groups }: Identity): number {
    facts.push({ kind: 'asked', query: ++queries, tenant, groups })
    return queries
  }
  async function post<T>(path: string, identity: Identity, body: object): Promise<T | null> {
    const reply = await world.edge().request('POST', path, identity, JSON.stringify(body), JSON_HEADERS)
    fire(faults.fired, `${path} ${reply.status}`)
    if (reply.status >= 500 && reply.status !== 503) throw new Error(`${path}: ${await reply.text()}`)
    return reply.status === 200 ? ((await reply.json()) as T) : null
  }
  const textsOf = ({ hits }: Hits): string[] =>
    hits.flatMap(({ text, title, headings }) => [text, title ?? '', ...headings])
  const only = ({ id }: Doc) => ({ field: 'document', op: 'eq', value: id })

  return {
    async readWhole(doc, identity, receipt) {
      const query = begin(identity)
      const after = receipt && formatReceipt(doc.tenant, doc.id, formatVersion(receipt))
      const body = { query: 'valve', mode: 'dense', limit: 100, filter: only(doc) }
      const found = await post<Hits>(
        '/v1/search',
        identity,
        after ? { ...body, after, timeoutMs: 20_000 } : body,
      )
      if (!found) return null
      const texts = textsOf(found)
      const reached = receipt && found.fresh ? { reached: [receipt] } : {}
      facts.push({ kind: 'answered', query, what: `search ${query}`, texts, whole: doc.id, ...reached })
      return texts
    },
    async readText(doc, identity) {
      const query = begin(identity)
      const reply = await world.edge().request('GET', `/v1/documents/${doc.id}/text`, identity)
      fire(faults.fired, `/text ${reply.status}`)
      if (reply.status !== 200) return
      const texts = [await reply.text()]
      facts.push({ kind: 'answered', query, what: `text ${query}`, texts })
    },
    async search(identity) {
      const query = begin(identity)
      const mode = (['hybrid', 'lexical', 'dense'] as const)[Math.floor(time.random() * 3)]!
      const found = await post<Hits>('/v1/search', identity, { query: 'valve hall', mode, limit: 10 })
      if (found) facts.push({ kind: 'answered', query, what: `search ${query}`, texts: textsOf(found) })
    },
    async chat(identity, doc) {
      const query = begin(identity)
      const found = await post<Completion>('/v1/chat/completions', identity, {
        messages: [{ role: 'user', content: 'Where was the valve seen?' }],
        aquifer: doc ? { filter: only(doc) } : {},
      })
      if (!found) return
      const quotes = found.aquifer.citations.map(({ quote }) => quote)
      const texts = [...found.choices.map(({ message }) => message.content), ...quotes]
      facts.push({ kind: 'answered', query, what: `chat ${query}`, texts })
    },
  }
}
