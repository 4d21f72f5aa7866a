import { Command, InvalidArgumentError } from 'commander'
import { addClientOptions, call } from '../client.ts'
import type { ClientOptions } from '../client.ts'
import { cut, printable, table } from '../terminal.ts'

interface Filters {
  readonly topic?: string
  readonly cause?: string
  readonly since?: string
  readonly until?: string
  readonly document?: string
}
type Options = ClientOptions & Filters

interface DeadLetter {
  readonly id: string
  readonly key: string | null
  readonly origin: { topic: string; partition: number; offset: number; time: string } | null
  readonly cause: string | null
  readonly message: string | null
  readonly attempts: number | null
  readonly deadLetteredAt: string
  readonly sizeBytes: number
}
interface WholeDeadLetter extends DeadLetter {
  readonly headers: Readonly<Record<string, string>>
  readonly value: { encoding: string; value: unknown; sizeBytes: number; truncated: boolean }
  readonly refusal: { code: string; message: string } | null
}
interface Replayed {
  replayed: number
  skipped: { id: string; code: string; message: string }[]
  cursor?: string
}

const UNIT_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
/** Of a table's cell; JSON has the whole. */
const MAX_KEY = 48
const MAX_MESSAGE = 80

export function dlqCommand(): Command {
  const dlq = new Command('dlq').description(
    'Dead letters: records that were at fault, why, and putting them on their way again',
  )
  dlq.addHelpText(
    'after',
    '\nExamples:\n  aquifer dlq list --since 1h\n  aquifer dlq replay --cause too_large --since 2d --dry-run',
  )
  dlq.addCommand(listCommand())
  dlq.addCommand(showCommand())
  dlq.addCommand(replayCommand())
  return dlq
}

function listCommand(): Command {
  return addFilters(addClientOptions(new Command('list')))
    .description('The newest ones first')
    .option('--limit <n>', 'at most so many', toCount, 50)
    .addHelpText(
      'after',
      '\nExamples:\n  aquifer dlq list --since 1h\n  aquifer dlq list --topic documents --cause too_large --json',
    )
    .action(async (options: Options & { limit: number }) => {
      const deadLetters: DeadLetter[] = []
      let cursor: string | undefined
      do {
        const left = Math.min(1000, options.limit - deadLetters.length)
        const query = new URLSearchParams({ ...selectionOf(options), limit: String(left), ...at(cursor) })
        const page = await (await call(options, `/v1/dead-letters?${query.toString()}`)).json()
        deadLetters.push(...(page as { deadLetters: DeadLetter[] }).deadLetters)
        cursor = (page as { cursor?: string }).cursor
      } while (cursor !== undefined && deadLetters.length < options.limit)
      if (options.json) return console.log(JSON.stringify({ deadLetters, ...at(cursor) }))
      if (deadLetters.length === 0) return console.log('no dead letters')
      console.log(
        table([
          ['ID', 'WHEN', 'TRIES', 'CAUSE', 'KEY', 'MESSAGE'],
          ...deadLetters.map((dead) => [
            dead.id,
            dead.deadLetteredAt,
            String(dead.attempts ?? '-'),
            dead.origin ? (dead.cause ?? '-') : 'not written by Aquifer',
            cut(dead.key ?? '-', MAX_KEY),
            cut(dead.message ?? '', MAX_MESSAGE),
          ]),
        ]),
      )
      if (cursor !== undefined) console.log('There are more: raise --limit, or narrow them with --until.')
    })
}

function showCommand(): Command {
  return addClientOptions(new Command('show'))
    .description('One of them: headers, where it came from, what it holds')
    .argument('<id>', 'topic/partition/offset, as list shows it')
    .addHelpText('after', '\nExample:\n  aquifer dlq show aquifer.documents.dlq/0/12')
    .action(async (id: string, options: Options) => {
      const path = id.split('/').map(encodeURIComponent).join('/')
      const dead = (await (await call(options, `/v1/dead-letters/${path}`)).json()) as WholeDeadLetter
      if (options.json) return console.log(JSON.stringify(dead))
      const { origin, value, headers, refusal } = dead
      const from = origin && `${origin.topic}/${origin.partition}/${origin.offset} of ${origin.time}`
      const size = `${value.sizeBytes} bytes, ${value.encoding}${value.truncated ? ', the beginning' : ''}`
      const shown = typeof value.value === 'string' ? value.value : JSON.stringify(value.value, null, 2)
      console.log(
        table([
          ['id', dead.id],
          ['key', dead.key ?? '-'],
          ['from', from ?? 'unknown: Aquifer did not write it'],
          ['cause', dead.cause ?? '-'],
          ['message', dead.message ?? ''],
          ['attempts', String(dead.attempts ?? '-')],
          ['when', dead.deadLetteredAt],
          ['replay', refusal ? `refused: ${refusal.code}, ${refusal.message}` : 'can be replayed'],
          ...Object.entries(headers).map(([name, text]) => [`header ${name}`, text]),
          ['value', size],
        ]),
      )
      console.log(shown.split('\n').map(printable).join('\n'))
    })
}

function replayCommand(): Command {
  const command = addFilters(addClientOptions(new Command('replay')))
  return command
    .description('Put dead letters on their way again, each at the version it had: nothing newer is undone')
    .argument('[ids...]', 'topic/partition/offset, as list shows them')
    .option('--all', 'every one that is held')
    .option('--dry-run', 'only say what would be done')
    .option('--yes', 'replay a selection of many')
    .addHelpText(
      'after',
      `
Ids, filters or --all say which. A selection of more than one is only counted until --yes is given.

Examples:
  aquifer dlq replay aquifer.documents.dlq/0/12
  aquifer dlq replay --cause too_large --since 2d --dry-run
  aquifer dlq replay --all --yes`,
    )
    .action(async (ids: string[], options: Options & { all?: boolean; dryRun?: boolean; yes?: boolean }) => {
      const selection = selectionOf(options)
      const filtered = Object.keys(selection).length > 0
      if (ids.length > 0 === (filtered || options.all === true))
        command.error('error: say which: ids, or filters, or --all')
      if (filtered && options.all) command.error('error: --all takes no filters')
      const send = async (dryRun: boolean) =>
        await replay(options, ids.length > 0 ? { ids } : { selection }, dryRun)
      let result = await send(options.dryRun === true || (ids.length === 0 && !options.yes))
      const waits = ids.length === 0 && !options.dryRun && !options.yes
      if (waits && result.replayed === 1) result = await send(false)
      else if (waits && result.replayed > 1) {
        tell(options, { ...result, dryRun: true })
        command.error(`error: ${result.replayed} dead letters: add --yes to replay them`)
      }
      tell(options, { ...result, dryRun: options.dryRun === true })
      // Of a selection, what is not worth a replay is left out as a matter of course.
      if (ids.length > 0 && result.skipped.length > 0) process.exitCode = 1
    })
}

/** Page by page, until the selection is through. */
async function replay(
  options: Options,
  which: { ids: string[] } | { selection: Record<string, string> },
  dryRun: boolean,
): Promise<Replayed> {
  const total: Replayed = { replayed: 0, skipped: [] }
  let cursor: string | undefined
  do {
    const response = await call(options, '/v1/dead-letters/replay', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ ...which, dryRun, ...at(cursor) }),
    })
    const page = (await response.json()) as Replayed
    total.replayed += page.replayed
    total.skipped.push(...page.skipped)
    cursor = page.cursor
  } while (cursor !== undefined)
  return total
}

function tell({ json }: Options, result: Replayed & { dryRun: boolean }): void {
  if (json) return console.log(JSON.stringify(result))
  for (const { id, code, message } of result.skipped)
    console.log(printable(`skipped   ${id}: ${code}, ${message}`))
  console.log(`${result.dryRun ? 'would replay' : 'replayed'}  ${result.replayed}`)
}

function addFilters(command: Command): Command {
  return command
    .option('--topic <name>', 'documents, chunks or answers.sampled')
    .option('--cause <code>', 'such as too_large or timeout')
    .option(
      '--since <time>',
      'dead-lettered since: a time (RFC 3339), or how long ago, such as 30m, 2h, 7d',
      toTime,
    )
    .option('--until <time>', 'dead-lettered before', toTime)
    .option('--document <id>', 'a document’s id, or a record’s whole key')
}

function selectionOf({ topic, cause, since, until, document }: Filters): Record<string, string> {
  return {
    ...(topic === undefined ? {} : { topic }),
    ...(cause === undefined ? {} : { cause }),
    ...(since === undefined ? {} : { from: since }),
    ...(until === undefined ? {} : { to: until }),
    ...(document === undefined ? {} : { key: document }),
  }
}

function toTime(text: string): string {
  const [, amount, unit] = /^(\d{1,9})([smhd])$/.exec(text) ?? []
  const ms = amount ? Date.now() - Number(amount) * UNIT_MS[unit!]! : Date.parse(text)
  if (Number.isNaN(new Date(ms).getTime()))
    throw new InvalidArgumentError('expected 2h, 7d or 2026-01-31T12:00:00Z.')
  return new Date(ms).toISOString()
}

function toCount(text: string): number {
  if (!/^[1-9]\d{0,6}$/.test(text)) throw new InvalidArgumentError('expected 1 or more.')
  return Number(text)
}

function at(cursor: string | undefined): { cursor?: string } {
  return cursor === undefined ? {} : { cursor }
}
