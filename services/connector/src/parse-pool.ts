import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'

import { DOCUMENT_POLICY } from '@aquifer/guard/policy'
import type { GuardPolicy } from '@aquifer/guard/policy'
import { AquiferError, errorMessage, invalid, unavailable } from '@aquifer/runtime/errors'
import { FINGERPRINT_VERSION } from '@aquifer/text/fingerprint'

import { CHUNKER_VERSION, defaultChunkOptions } from './chunk/chunk.ts'
import type { ChunkOptions } from './chunk/chunk.ts'
import { defaultLoadLimits } from './load/document.ts'
import type { LoadLimits } from './load/document.ts'
import { loadFailure } from './load/failures.ts'
import { LOADER_VERSION } from './load/loaders.ts'
import { ParserEnded, startParser } from './parse-process.ts'
import type { ParseAnswer, ParserProcess } from './parse-process.ts'
import type { ParserSetup } from './parse-protocol.ts'
import type { ParsedDocument, ParseInput } from './parse.ts'

/**
 * Parses documents in processes of their own.
 *
 *  P1  The caller's thread computes nothing; the caller keeps its bytes. They go over in parts and so do the chunks, between
 *      which the thread goes on with its other work.
 *  P2  A document that takes too long or too much memory costs its own process alone and fails as `timeout` or
 *      `out_of_memory`; the next one finds a fresh one.
 *  P3  The time limit counts from when a process takes the document, not from when it began to wait.
 *  P4  At most `maxQueue` documents wait; one more fails as `parser_busy`, which a retry can help.
 *  P5  A single process is sent the next document while it reads one, if that is small. What happens to the one is none of the
 *      other's fault: it goes to the next process.
 */
export interface ParsePool {
  /** What decides how a document is cut; part of the build, with the embedder's fingerprint. */
  readonly build: string
  /** Longer content fails as `too_large`: it is no use to read it into memory. */
  readonly maxBytes: number
  parse(input: ParseInput, signal?: AbortSignal): Promise<ParsedDocument>
  /** Ends the processes; documents under way fail as `parser_closed`. */
  close(): Promise<void>
}

export interface ParsePoolOptions {
  /** `tokenizer.json` of the embedder; null where it has none: tokens are then estimated by characters. */
  readonly tokenizerPath: string | null
  readonly chunk?: Partial<ChunkOptions>
  readonly limits?: Partial<LoadLimits>
  /** Default: marks what is suspicious. */
  readonly guard?: GuardPolicy
  /** What protected documents are tried with; none of the build, for what they open is read for the first time. */
  readonly passwords?: () => readonly string[]
  /** Documents that are read at once. */
  readonly processes?: number
  readonly timeoutMs?: number
  /** Of one process's heap, and again of the buffers beside it. */
  readonly memoryMb?: number
  readonly maxQueue?: number
  /** Another parser's file, for tests. */
  readonly workerFile?: URL
}

/** What a process has in memory before it reads anything: Node, the libraries and the tokenizer. */
const PROGRAM_MB = 192
const IDLE_TIMEOUT_MS = 60_000

export function createParsePool(options: ParsePoolOptions): ParsePool {
  const { tokenizerPath, processes = 1, timeoutMs = 30_000, memoryMb = 512, maxQueue = 64 } = options
  const { passwords = () => [] } = options
  const settings = {
    limits: { ...defaultLoadLimits, ...options.limits },
    chunk: { ...defaultChunkOptions, ...options.chunk },
    guard: options.guard ?? DOCUMENT_POLICY,
  }
  const maxBytes = Math.min(settings.limits.maxBytes, memoryMb * 1024 * 1024)
  const workerFile = options.workerFile ?? new URL('./parse-worker.ts', import.meta.url)
  const setup: ParserSetup = {
    settings,
    tokenizerPath,
    maxResidentBytes: (2 * memoryMb + PROGRAM_MB) * 1024 * 1024,
  }
  // Several processes keep the cores busy without it, and behind a slow document one would wait while another process is free.
  const ahead = processes === 1 && maxQueue > 0 ? 1 : 0
  const slots = createSlots(processes + ahead, maxQueue - ahead)
  const all = new Set<ParserProcess>()
  const idle: ParserProcess[] = []
  let closed = false

  function start(): ParserProcess {
    const parser = startParser(workerFile, setup, memoryMb)
    all.add(parser)
    void parser.ended.then(() => forget(parser))
    return parser
  }

  function forget(parser: ParserProcess): void {
    all.delete(parser)
    const place = idle.indexOf(parser)
    if (place !== -1) idle.splice(place, 1)
  }

  async function end(parser: ParserProcess): Promise<void> {
    forget(parser)
    await parser.kill()
  }

  /** The one used last is the first to be used again; of those that nobody needs for long one stays. */
  function putBack(parser: ParserProcess): void {
    if (idle.includes(parser) || !all.has(parser)) return
    idle.push(parser)
    const timer = setTimeout(() => {
      if (idle.length > 1 && idle.includes(parser)) void end(parser)
    }, IDLE_TIMEOUT_MS)
    timer.unref()
  }

  async function run(input: ParseInput, signal: AbortSignal | undefined): Promise<ParsedDocument> {
    signal?.throwIfAborted()
    if (closed) throw unavailable('parser_closed', 'the process is stopping')
    const document = { ...input, passwords: passwords() }
    const shared = idle.pop() ?? (ahead > 0 ? [...all][0] : undefined)
    const parser = shared ?? start()
    let isReading = false
    let isLate = false
    const kill = () => void end(parser)
    const late = () => {
      isLate = true
      kill()
    }
    const stop = () => {
      if (isReading || !shared) kill()
    }
    let timer = shared ? undefined : setTimeout(late, timeoutMs)
    const begin = () => {
      isReading = true
      clearTimeout(timer)
      timer = setTimeout(late, timeoutMs)
    }
    signal?.addEventListener('abort', stop, { once: true })
    let answer: ParseAnswer
    try {
      await parser.ready
      answer = await parser.parse(document, begin)
    } catch (error) {
      kill()
      if (signal?.aborted) throw signal.reason
      if (closed) throw unavailable('parser_closed', 'the process is stopping', error)
      if (shared && !isReading) return await run(input, signal)
      // A library that is not installed, or a process that the machine does not give, is no document's fault.
      if (!isReading)
        throw unavailable('parser_unavailable', `the parser cannot start: ${errorMessage(error)}`, error)
      if (isLate)
        throw loadFailure('timeout', `reading it took more than ${timeoutMs} ms: publish it in parts`, error)
      throw parserFailure(error, memoryMb)
    } finally {
      clearTimeout(timer)
      signal?.removeEventListener('abort', stop)
    }
    putBack(parser)
    if ('document' in answer) return answer.document
    const { code, message, status } = answer.failure
    throw invalid(code, message, status)
  }

  return {
    build: JSON.stringify({
      loader: LOADER_VERSION,
      chunker: CHUNKER_VERSION,
      fingerprint: FINGERPRINT_VERSION,
      ...settings.chunk,
      guard: settings.guard,
      tokens: tokenizerPath === null ? 'characters/4' : sha256(tokenizerPath),
    }),
    maxBytes,
    async parse(input, signal) {
      if (input.bytes.length > maxBytes) throw tooMuchToRead(maxBytes)
      const release = await slots.take(signal)
      // Also one that its caller has given up keeps its place until the process has no more of it.
      const reading = run(input, signal).finally(release)
      return await (signal ? unlessAborted(reading, signal) : reading)
    },
    async close() {
      closed = true
      slots.close()
      await Promise.all([...all].map(end))
    },
  }
}

function sha256(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex')
}

function parserFailure(error: unknown, memoryMb: number): AquiferError {
  return error instanceof ParserEnded && error.outOfMemory
    ? loadFailure('out_of_memory', `reading it took more than ${memoryMb} MB: publish it in parts`, error)
    : loadFailure('broken', `it cannot be read (${errorMessage(error)}): publish a repaired copy`, error)
}

/** As the work ends, or as soon as the caller gives up; the work goes on then. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const abort = () => reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([work, promise])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

/** So many at once, so many in line, first come first served. */
function createSlots(count: number, maxWaiting: number) {
  let free = count
  const waiting: { start: () => void; fail: (error: unknown) => void }[] = []
  const release = () => {
    const next = waiting.shift()
    if (next) next.start()
    else free++
  }
  return {
    async take(signal: AbortSignal | undefined): Promise<() => void> {
      if (free > 0) {
        free--
        return release
      }
      if (waiting.length >= maxWaiting)
        throw unavailable(
          'parser_busy',
          `${maxWaiting} documents wait to be read: publish it again in a moment`,
        )
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      const waiter = { start: resolve, fail: reject }
      const abort = () => {
        const place = waiting.indexOf(waiter)
        if (place === -1) return
        waiting.splice(place, 1)
        reject(signal?.reason)
      }
      waiting.push(waiter)
      signal?.addEventListener('abort', abort, { once: true })
      try {
        await promise
      } finally {
        signal?.removeEventListener('abort', abort)
      }
      return release
    },
    close() {
      for (const { fail } of waiting.splice(0)) fail(unavailable('parser_closed', 'the process is stopping'))
    },
  }
}

/** Beyond what a document may have, or what reading one may take of memory. */
export function tooMuchToRead(maxBytes: number) {
  return loadFailure('too_large', `the content has more than ${maxBytes} bytes: publish it in parts`)
}
