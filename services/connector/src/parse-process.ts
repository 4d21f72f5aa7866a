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

/** A process that reads documents, one at a time. */
export interface ParserProcess {
  /** Resolves when it can take one. Rejects with `ParserEnded`. */
  readonly ready: Promise<void>
  /** Rejects with `ParserEnded`, and with `ParserDefect` for an error that the parser should not have thrown. */
  parse(input: ParseInput): Promise<ParseAnswer>
  readonly ended: Promise<void>
  /** At once; what is under way rejects. */
  kill(): Promise<void>
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
  let onMessage: (message: FromParser) => void = () => {}
  let onEnd: (error: ParserEnded) => void = () => {}
  let end: ParserEnded | null = null
  child.on('message', (message) => onMessage(message as FromParser))
  const finish = (why: string, outOfMemory: boolean): void => {
    end ??= new ParserEnded(`${why}${lastWords ? `: ${lastWords.trim()}` : ''}`, outOfMemory)
    onEnd(end)
  }
  const ended = new Promise<void>((resolve) => {
    child.on('exit', (code, signal) => {
      finish(`it ended with ${signal ?? code}`, MEMORY_SIGNALS.has(signal))
      resolve()
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
  async function until<T>(
    begin: () => Promise<void>,
    take: (message: FromParser) => T | undefined,
  ): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    if (end) throw end
    onEnd = reject
    onMessage = (message) => {
      if ('notReady' in message) reject(new ParserEnded(message.notReady, false))
      else if ('defect' in message) reject(new ParserDefect(message.defect))
      else {
        const taken = take(message)
        if (taken !== undefined) resolve(taken)
      }
    }
    try {
      void begin().catch(reject)
      return await promise
    } finally {
      onEnd = onMessage = () => {}
    }
  }

  const ready = until(
    () => send({ setup }),
    (message) => ('ready' in message ? true : undefined),
  ).then(() => {})
  ready.catch(() => {})

  return {
    ready,
    ended,
    async parse({ bytes, ...input }) {
      const chunks: Chunk[] = []
      return await until<ParseAnswer>(
        async () => {
          let at = 0
          for (; at + PIECE_BYTES < bytes.length; at += PIECE_BYTES)
            await send({ piece: bytes.subarray(at, at + PIECE_BYTES) })
          await send({ parse: { ...input, bytes: bytes.subarray(at) } })
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
