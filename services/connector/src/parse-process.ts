import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

import type { Chunk } from '@aquifer/contracts/types'

import type { FromParser, ParserSetup, ToParser } from './parse-protocol.ts'
import type { ParsedDocument, ParseInput } from './parse.ts'

/** Of a document, in one message: copied within a millisecond. */
const PIECE_BYTES = 1 << 20
/** Of what a process that ended said last. */
const LAST_WORDS = 500
/** V8 aborts where the heap is full; the watchdog and Linux kill. */
const MEMORY_SIGNALS = new Set<NodeJS.Signals | null>(['SIGABRT', 'SIGTRAP', 'SIGKILL'])
/** All that a parser is given: none of the secrets of its parent, and nothing that would make it read a document otherwise here than there. */
const ENVIRONMENT = { TZ: 'UTC', LANG: 'C.UTF-8', MALLOC_ARENA_MAX: '2' }

export type ParseAnswer = { readonly document: ParsedDocument } | Extract<FromParser, { failure: unknown }>

/** A process that reads documents, one after the other. */
export interface ParserProcess {
  /** Resolves when it can take one. Rejects with `ParserEnded`. */
  readonly ready: Promise<void>
  /**
   * Rejects with `ParserEnded`, and with `ParserDefect` for an error that the parser should not have thrown, behind which it takes no
   * more. `onBegin` is called once all before it are read: only from then on it can be this one that ends the process.
   */
  parse(input: ParseInput, onBegin: () => void): Promise<ParseAnswer>
  readonly ended: Promise<void>
  /** At once; what is under way rejects. */
  kill(): Promise<void>
}

interface Receiver {
  /** All before it have their answers. */
  readonly begin: () => void
  /** Whether it has all of its answer. */
  readonly take: (message: FromParser) => boolean
  readonly fail: (error: Error) => void
}

export class ParserDefect extends Error {
  override readonly name = 'ParserDefect'
}

export class ParserEnded extends Error {
  override readonly name = 'ParserEnded'
  /** It needed more memory than it may have, if it was not killed from here. */
  readonly outOfMemory: boolean

  constructor(message: string, outOfMemory: boolean) {
    super(message)
    this.outOfMemory = outOfMemory
  }
}

/**
 * Starts one with `memoryMb` for its heap. V8 ends a whole process whose heap is full, at times even where only a thread's was
 * limited: so documents are read in a process of their own, which may read files (its libraries) but write none.
 */
export function startParser(file: URL, setup: ParserSetup, memoryMb: number): ParserProcess {
  const child = fork(fileURLToPath(file), {
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    execArgv: [
      `--max-old-space-size=${memoryMb}`,
      '--permission',
      '--allow-fs-read=*',
      '--allow-worker',
      '--disable-warning=SecurityWarning',
    ],
    env: ENVIRONMENT,
  })
  let lastWords = ''
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    lastWords = (lastWords + text).slice(-LAST_WORDS)
  })
  /** Those that wait for an answer, in the order in which these come. */
  const line: Receiver[] = []
  let end: ParserEnded | null = null
  const finish = (why: string, outOfMemory: boolean): void => {
    end ??= new ParserEnded(`${why}${lastWords ? `: ${lastWords.trim()}` : ''}`, outOfMemory)
    for (const { fail } of line.splice(0)) fail(end)
  }
  child.on('message', (sent) => {
    const message = sent as FromParser
    if ('notReady' in message) finish(message.notReady, false)
    else if ('defect' in message) {
      line.shift()?.fail(new ParserDefect(message.defect))
      finish('a parser failed', false)
    } else if (line[0]?.take(message)) {
      line.shift()
      line[0]?.begin()
    }
  })
  const ended = new Promise<void>((resolve) => {
    child.on('exit', (code, signal) => {
      // What it answered before may still be on its way: the one that ended it comes after.
      const close = () => {
        finish(`it ended with ${signal ?? code}`, MEMORY_SIGNALS.has(signal))
        resolve()
      }
      if (child.connected) child.once('disconnect', close)
      else close()
    })
    // Without a process there is no exit; a send to one that is going fails beside its exit.
    child.on('error', (error) => {
      if (child.pid !== undefined) return
      finish(error.message, false)
      resolve()
    })
  })
  const send = (message: ToParser) =>
    new Promise<void>((resolve) => void child.send(message, () => resolve()))

  /** Only of what is under way anything is kept: a promise of the process's end would keep each document that waited beside it. */
  async function until<T>(begin: () => void, take: (message: FromParser) => T | undefined): Promise<T> {
    if (end) throw end
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    line.push({
      begin,
      take: (message) => {
        const taken = take(message)
        if (taken !== undefined) resolve(taken)
        return taken !== undefined
      },
      fail: reject,
    })
    if (line.length === 1) begin()
    return await promise
  }

  const ready = until(
    () => void send({ setup }),
    (message) => ('ready' in message ? true : undefined),
  ).then(() => {})
  ready.catch(() => {})

  return {
    ready,
    ended,
    async parse({ bytes, ...input }, onBegin) {
      const chunks: Chunk[] = []
      const post = async () => {
        let at = 0
        for (; at + PIECE_BYTES < bytes.length; at += PIECE_BYTES)
          await send({ piece: bytes.subarray(at, at + PIECE_BYTES) })
        await send({ parse: { ...input, bytes: bytes.subarray(at) } })
      }
      // A small one goes ahead while another is read, so that the process need not wait for it. A large one would take of the
      // other's memory.
      const isAhead = !end && line.length > 0 && bytes.length <= PIECE_BYTES
      if (isAhead) void post()
      return await until<ParseAnswer>(
        () => {
          if (!isAhead) void post()
          onBegin()
        },
        (message) => {
          if ('chunks' in message) chunks.push(...message.chunks)
          if ('parsed' in message) {
            const { parsed } = message
            return { document: { ...parsed, chunks: [...chunks, ...parsed.chunks] } }
          }
          return 'failure' in message ? message : undefined
        },
      )
    },
    async kill() {
      finish('it was killed', false)
      child.kill('SIGKILL')
      await ended
    },
  }
}
