import { Command } from 'commander'
import { addClientOptions, callJson } from '../client.ts'
import type { ClientOptions } from '../client.ts'
import { table } from '../terminal.ts'

interface Whole {
  readonly documents: Readonly<Record<string, number>>
  readonly chunks: number
  readonly lag: Readonly<Record<string, number>>
  readonly freshness: { readonly p50Ms: number | null; readonly p95Ms: number | null }
  readonly embedder: string
  readonly generator: string
  readonly index: string
}
interface Document {
  readonly id: string
  readonly state: string
  readonly visibleVersion: string | null
  readonly latest: {
    readonly version: string
    readonly error?: { readonly code: string; readonly message: string }
  }
  readonly chunks: number
  readonly title: string | null
  readonly contentType: string | null
  readonly access: readonly string[] | null
  readonly guard: readonly string[]
  readonly language: string | null
  readonly similar: readonly { readonly id: string }[]
  readonly publishedAt: string
  readonly indexedAt: string | null
  readonly lagMs: number | null
}

export function statusCommand(): Command {
  return addClientOptions(new Command('status'))
    .description('How the whole stands, or one document')
    .argument('[id]', 'of a document')
    .addHelpText(
      'after',
      '\nExamples:\n  aquifer status\n  aquifer status samples/receipts.txt\n  aquifer status --json | jq .lag',
    )
    .action(async (id: string | undefined, options: ClientOptions) => {
      const path = id === undefined ? '/v1/status' : `/v1/documents/${encodeURIComponent(id)}`
      const status = await callJson<unknown>(options, path)
      if (options.json) return console.log(JSON.stringify(status))
      console.log(table(id === undefined ? ofWhole(status as Whole) : ofDocument(status as Document)))
    })
}

function ofWhole({ documents, chunks, lag, freshness, embedder, generator, index }: Whole): string[][] {
  const { p50Ms, p95Ms } = freshness
  return [
    ['documents', counts(documents, (state, count) => `${count} ${state}`)],
    ['chunks', String(chunks)],
    ['waiting', counts(lag, (group, count) => `${group} ${count}`)],
    ['freshness', p50Ms === null ? '-' : `${p50Ms} ms at the median, ${p95Ms} ms at the 95th percentile`],
    ['embedder', embedder],
    ['generator', generator],
    ['index', index],
  ]
}

function ofDocument(document: Document): string[][] {
  const { latest, access, guard, lagMs, language, similar } = document
  const isNewer = document.visibleVersion !== null && document.visibleVersion !== latest.version
  return [
    ['id', document.id],
    ['state', document.state],
    ...(latest.error ? [['error', `${latest.error.message} (${latest.error.code})`]] : []),
    ...(isNewer ? [['visible', `an older version: ${document.visibleVersion}`]] : []),
    ['title', document.title ?? '-'],
    ['type', document.contentType ?? '-'],
    ...(language === null ? [] : [['language', language]]),
    ...(similar.length > 0
      ? [['similar', `nearly the same as ${similar.map(({ id }) => id).join(', ')}`]]
      : []),
    ['version', latest.version],
    ['chunks', String(document.chunks)],
    ['access', access === null ? 'the whole tenant' : access.join(', ') || 'admins only'],
    ...(guard.length > 0 ? [['marked', guard.join(', ')]] : []),
    ['published', document.publishedAt],
    ['indexed', document.indexedAt === null ? '-' : `${document.indexedAt}, ${lagMs} ms later`],
  ]
}

function counts(of: Readonly<Record<string, number>>, show: (name: string, count: number) => string): string {
  return Object.entries(of)
    .map(([name, count]) => show(name, count))
    .join(', ')
}
