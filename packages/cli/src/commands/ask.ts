import { createInterface } from 'node:readline'
import { Command } from 'commander'
import { errorMessage, invalid } from '@aquifer/runtime/errors'
import { addClientOptions, call, callJson } from '../client.ts'
import type { ClientOptions } from '../client.ts'
import { serverEvents } from '../server-events.ts'
import { oneLine, onInterrupt, printableText } from '../terminal.ts'

interface Citation {
  readonly marker: string
  readonly documentId: string
  readonly chunkId: string
  readonly title: string | null
  readonly page: number | null
  readonly quote: string
}
interface AquiferPart {
  readonly answerId: string
  readonly conversationId: string
  readonly groundedness: number | null
  readonly fresh: boolean
  readonly citations: readonly Citation[]
}
interface Chunk {
  readonly choices?: readonly { readonly delta: { readonly content?: string } }[]
  readonly aquifer?: AquiferPart
  readonly error?: { readonly code: string; readonly message: string }
}
interface Message {
  readonly role: 'user' | 'assistant'
  readonly content: string
}
type Options = ClientOptions & {
  readonly conversation?: boolean
  readonly after?: readonly string[]
  readonly requireFresh?: boolean
}

export function askCommand(): Command {
  return addClientOptions(new Command('ask'))
    .description('Ask a question of the indexed documents')
    .argument('[question...]')
    .option('-c, --conversation', 'go on with questions from stdin, one a line; each knows those before')
    .option('--after <receipt>', 'wait for this publication, repeatable', addReceipt)
    .option('--require-fresh', 'fail where that cannot be, rather than to answer without them')
    .addHelpText(
      'after',
      `
The answer comes as it is written; below it stand the passages that it cites.

Examples:
  aquifer ask "What is a floor?"
  aquifer ask -c
  aquifer ask --json "What is a floor?" | jq .aquifer.citations
  aquifer ask "What did I note?" --after "$(aquifer publish notes.md --json | jq -r .receipt)"`,
    )
    .action(async (words: string[], options: Options, command: Command) => {
      if (words.length === 0 && !options.conversation)
        command.error('error: what is the question? (or --conversation, to ask several)')
      const ask = createAsker(options)
      if (words.length > 0) await ask(words.join(' '), AbortSignal.timeout(DEADLINE_MS))
      if (options.conversation) await converse(ask)
    })
}

function addReceipt(receipt: string, receipts: readonly string[] = []): string[] {
  return [...receipts, receipt]
}

/** A language model may write for minutes. */
const DEADLINE_MS = 10 * 60 * 1000
/** What the server looks back at most. */
const MAX_HISTORY = 20

type Ask = (question: string, signal: AbortSignal) => Promise<void>

/** Prints the answer of one question after the other, all of one conversation. */
function createAsker(options: Options): Ask {
  const history: Message[] = []
  let conversationId: string | undefined
  return async (question, signal) => {
    const messages = [...history, { role: 'user' as const, content: question }]
    const aquifer = {
      ...(conversationId === undefined ? {} : { conversationId }),
      ...(options.after === undefined ? {} : { after: options.after }),
      ...(options.requireFresh ? { require: 'fresh' } : {}),
    }
    const answer = await (options.json ? printJson : printStream)(options, { messages, aquifer }, signal)
    conversationId = answer.conversationId
    history.push({ role: 'user', content: question }, { role: 'assistant', content: answer.content })
    history.splice(0, history.length - MAX_HISTORY)
  }
}

interface Answered {
  readonly content: string
  readonly conversationId: string
}

async function printJson(client: ClientOptions, request: object, signal: AbortSignal): Promise<Answered> {
  const completion = await callJson<{
    choices: { message: { content: string } }[]
    aquifer: AquiferPart
  }>(client, '/v1/chat/completions', { method: 'POST', body: request, signal })
  console.log(JSON.stringify(completion))
  return {
    content: completion.choices[0]!.message.content,
    conversationId: completion.aquifer.conversationId,
  }
}

async function printStream(client: ClientOptions, request: object, signal: AbortSignal): Promise<Answered> {
  const response = await call(client, '/v1/chat/completions', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ ...request, stream: true }),
    signal,
  })
  // The shell's prompt is to begin on a line of its own.
  const release = onInterrupt(() => process.stdout.write('\n'))
  let content = ''
  let part: AquiferPart | undefined
  try {
    for await (const data of serverEvents(response.body!)) {
      if (data === '[DONE]') break
      const { choices = [], aquifer, error } = JSON.parse(data) as Chunk
      if (error) {
        if (content) process.stdout.write('\n')
        throw invalid(error.code, error.message)
      }
      const text = choices[0]?.delta.content ?? ''
      content += text
      process.stdout.write(printableText(text))
      part = aquifer ?? part
    }
  } finally {
    release()
  }
  process.stdout.write('\n')
  if (!part) throw invalid('cut_off', 'the answer broke off: look at the server’s log, and ask again')
  await printGrounds(client, part)
  return { content, conversationId: part.conversationId }
}

async function printGrounds(
  client: ClientOptions,
  { answerId, citations, groundedness, fresh }: AquiferPart,
): Promise<void> {
  const headings = citations.length > 0 ? await headingsOf(client, answerId) : new Map<string, string[]>()
  if (citations.length > 0) console.log('')
  for (const { marker, documentId, chunkId, title, page, quote } of citations) {
    // A document's first heading often is its title.
    const below = (headings.get(chunkId) ?? []).filter((heading) => heading !== title)
    const place = [
      title === null || title === documentId ? documentId : `${documentId} (${title})`,
      ...(page === null ? [] : [`page ${page}`]),
      ...(below.length > 0 ? [below.join(' › ')] : []),
    ]
    console.log(oneLine(`${marker} ${place.join(', ')}: “${quote}”`))
  }
  if (groundedness !== null) console.log(`groundedness ${groundedness.toFixed(2)}`)
  if (!fresh) console.log('not fresh: a publication of --after was not visible yet')
}

/** By chunk. The kept answer has them; without it the citations still say where they are from. */
async function headingsOf(client: ClientOptions, answerId: string): Promise<Map<string, string[]>> {
  try {
    const { evidence } = await callJson<{ evidence: { chunkId: string; headings: string[] }[] }>(
      client,
      `/v1/answers/${answerId}`,
    )
    return new Map(evidence.map(({ chunkId, headings }) => [chunkId, headings]))
  } catch {
    return new Map()
  }
}

/** Questions from stdin, until it ends or Ctrl-C. One that fails ends none of the others. */
async function converse(ask: Ask): Promise<void> {
  const lines = createInterface({
    input: process.stdin,
    output: process.stderr,
    terminal: process.stdin.isTTY && process.stderr.isTTY,
    prompt: '› ',
  })
  const left = new AbortController()
  const prompt = (): void => {
    if (process.stdin.isTTY && !left.signal.aborted) lines.prompt()
  }
  lines.on('SIGINT', () => {
    left.abort()
    lines.close()
  })
  prompt()
  for await (const line of lines) {
    if (line.trim() !== '') {
      try {
        await ask(line, AbortSignal.any([left.signal, AbortSignal.timeout(DEADLINE_MS)]))
      } catch (error) {
        if (left.signal.aborted) break
        console.error(`aquifer: ${errorMessage(error)}`)
        process.exitCode = 1
      }
    }
    prompt()
  }
  if (process.stdin.isTTY) process.stderr.write('\n')
}
