import { openAsBlob } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { basename, extname, join, relative, sep } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import { mapLimited } from '@aquifer/runtime/concurrency'
import { errorMessage } from '@aquifer/runtime/errors'
import { addClientOptions, call } from '../client.ts'
import type { ClientOptions } from '../client.ts'
import { mediaTypeOf } from '../media-types.ts'
import { createProgress } from '../progress.ts'
import { oneLine } from '../terminal.ts'
import { untilSearchable } from '../until-searchable.ts'

const CONCURRENCY = 8
const STDIN = '-'

type Options = ClientOptions & {
  readonly id?: string
  readonly prefix: string
  readonly type?: string
  readonly title?: string
  readonly access?: string
  readonly metadata: Readonly<Record<string, unknown>>
  readonly hidden?: boolean
  readonly wait?: boolean
  readonly timeout: number
}

export function publishCommand(): Command {
  return addClientOptions(new Command('publish'))
    .description('Publish files, all files below folders, or what comes on stdin')
    .argument('<paths...>', 'files and folders; - is stdin, which needs --id')
    .option('--id <id>', 'the document’s id, of one file or stdin; else its name, below a folder its path')
    .option('--prefix <text>', 'put before every id', '')
    .option('--type <type>', 'media type; else by the content and the name')
    .option('--title <title>', 'of one file or stdin')
    .option('--access <groups>', 'groups that may read, comma-separated; * opens to the whole tenant')
    .option(
      '--metadata <key=value>',
      'to filter by, repeatable; numbers, true and false are such',
      addPair,
      {},
    )
    .option('--hidden', 'also what begins with a dot, and node_modules')
    .option('--wait', 'until each is searchable, or has failed')
    .option('--timeout <seconds>', 'of the whole wait', toSeconds, 300)
    .addHelpText(
      'after',
      `
A document of the same id is replaced, at once and as a whole.

Examples:
  aquifer publish docs/ notes.md --wait
  aquifer publish report.pdf --access staff,board --metadata year=2026 --metadata project=well
  git log -5 | aquifer publish - --id last-commits --type text/plain`,
    )
    .action(async (paths: string[], options: Options, command: Command) => {
      const sources = await findSources(paths, options, command)
      const deadline = Date.now() + options.timeout * 1000
      const progress = createProgress({ label: 'publishing', total: sources.length })
      const results = await mapLimited(sources, CONCURRENCY, async (source) => {
        const result = await publishOne(source, options, deadline)
        progress.print(options.json ? JSON.stringify(result) : line(result))
        progress.advance()
        return result
      })
      progress.end()
      const failed = results.filter(({ error }) => error !== undefined).length
      if (sources.length > 1 && !options.json)
        console.error(`${sources.length - failed} published${failed > 0 ? `, ${failed} failed` : ''}`)
      if (failed > 0) process.exitCode = 1
    })
}

interface Source {
  readonly id: string
  /** Null: stdin. */
  readonly path: string | null
}

interface Result {
  readonly id: string
  readonly receipt?: string
  readonly state: 'queued' | 'indexed' | 'failed'
  readonly error?: string
}

function line({ id, state, error }: Result): string {
  return `${state.padEnd(8)}${oneLine(id)}${error === undefined ? '' : `: ${oneLine(error)}`}`
}

async function findSources(paths: readonly string[], options: Options, command: Command): Promise<Source[]> {
  const wrong = (why: string): never => command.error(`error: ${why}`)
  const found: Source[] = []
  for (const path of paths) {
    if (path === STDIN) found.push({ path: null, id: options.id ?? wrong('stdin has no name: add --id') })
    else found.push(...((await filesAt(path, options.hidden === true)) ?? wrong(`there is no ${path}`)))
  }
  if (found.length === 0) wrong(`there is no file in ${paths.join(', ')}`)
  if (found.length > 1 && (options.id ?? options.title) !== undefined)
    wrong(`--id and --title are of one document, and these are ${found.length}`)
  const sources = found.map(({ path, id }) => ({ path, id: options.prefix + (options.id ?? id) }))
  const byId = new Map<string, Source>()
  for (const source of sources) {
    const other = byId.get(source.id)
    if (other)
      wrong(
        `${other.path} and ${source.path} would both be the document ${source.id}: publish them apart, with --prefix`,
      )
    byId.set(source.id, source)
  }
  return sources
}

/** Null where there is nothing. Links are not followed. */
async function filesAt(path: string, hidden: boolean): Promise<Source[] | null> {
  const found = await stat(path).catch(() => null)
  if (!found) return null
  if (!found.isDirectory()) return [{ path, id: basename(path) }]
  const entries = await readdir(path, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((file) => ({ path: file, id: relative(path, file).split(sep).join('/') }))
    .filter(
      ({ id }) => hidden || !id.split('/').some((part) => part.startsWith('.') || part === 'node_modules'),
    )
    .sort((a, b) => (a.id < b.id ? -1 : 1))
}

async function publishOne({ path, id }: Source, options: Options, deadlineMs: number): Promise<Result> {
  try {
    const { access, metadata, title } = options
    const response = await call(options, `/v1/documents/${encodeURIComponent(id)}`, {
      method: 'PUT',
      headers: {
        'Content-Type': options.type ?? mediaTypeOf(extname(path ?? id)),
        ...(path === null ? {} : { 'X-Filename': extended(basename(path)) }),
        ...(title === undefined ? {} : { 'Aquifer-Title': extended(title) }),
        ...(access === undefined ? {} : { 'Aquifer-Access': extended(access) }),
        ...(Object.keys(metadata).length > 0 && { 'Aquifer-Metadata': extended(JSON.stringify(metadata)) }),
      },
      // Neither is read into memory whole.
      ...(path === null
        ? { body: process.stdin as unknown as NonNullable<RequestInit['body']>, duplex: 'half' }
        : { body: await openAsBlob(path) }),
    })
    const { receipt } = (await response.json()) as { receipt: string }
    if (!options.wait) return { id, receipt, state: 'queued' }
    const failure = await untilSearchable(options, id, receipt, deadlineMs)
    return failure === null
      ? { id, receipt, state: 'indexed' }
      : { id, receipt, state: 'failed', error: failure }
  } catch (error) {
    return { id, state: 'failed', error: errorMessage(error) }
  }
}

/** RFC 8187, so that a header can hold any text. */
function extended(text: string): string {
  return `UTF-8''${encodeURIComponent(text)}`
}

function addPair(text: string, pairs: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const at = text.indexOf('=')
  if (at < 1) throw new InvalidArgumentError('expected key=value.')
  const value = text.slice(at + 1)
  return {
    ...pairs,
    [text.slice(0, at)]: /^(?:true|false|-?\d+(?:\.\d+)?)$/.test(value) ? JSON.parse(value) : value,
  }
}

function toSeconds(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError('expected a number of seconds.')
  return Number(text)
}
