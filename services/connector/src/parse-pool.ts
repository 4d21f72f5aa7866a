import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { receiveMessageOnPort } from 'node:worker_threads'
import type { MessagePort } from 'node:worker_threads'

import type { Chunk } from '@aquifer/contracts/types'
import { DOCUMENT_POLICY } from '@aquifer/guard/policy'
import type { GuardPolicy } from '@aquifer/guard/policy'
import { AquiferError, errorMessage, invalid, unavailable } from '@aquifer/runtime/errors'
import { FINGERPRINT_VERSION } from '@aquifer/text/fingerprint'
import { Piscina } from 'piscina'

import { CHUNKER_VERSION, defaultChunkOptions } from './chunk/chunk.ts'
import type { ChunkOptions } from './chunk/chunk.ts'
import { defaultLoadLimits } from './load/document.ts'
import type { LoadLimits } from './load/document.ts'
import { loadFailure } from './load/failures.ts'
import { LOADER_VERSION } from './load/loaders.ts'
import type { ParseReply, ParseWorkerData } from './parse-worker.ts'
import type { ParsedDocument, ParseInput } from './parse.ts'

/**
 * Parses documents in worker threads.
 *
 *  P1  The caller's thread computes nothing but one copy of the bytes; the caller keeps its own. A large document's chunks come
 *      over in parts, between which the thread goes on with its other work.
 *  P2  A document that takes too long or too much memory costs its own worker alone and fails as `timeout` or
 *      `out_of_memory`; the next one finds a fresh worker.
 *  P3  The time limit counts from when a worker takes the document, not from when it began to wait.
 *  P4  At most `maxQueue` documents wait; one more fails as `parser_busy`, which a retry can help.
 */
export interface ParsePool {
  /** What decides how a document is cut; part of the build, with the embedder's fingerprint. */
  readonly build: string
  /** Longer content fails as `too_large`: it is no use to read it into memory. */
  readonly maxBytes: number
  parse(input: ParseInput, signal?: AbortSignal): Promise<ParsedDocument>
  /** Ends the workers; documents under way fail as `parser_closed`. */
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
  readonly threads?: number
  readonly timeoutMs?: number
  /** Of one worker's heap, and again of the buffers beside it. */
  readonly memoryMb?: number
  readonly maxQueue?: number
  /** Another worker's file, for tests. */
  readonly workerFile?: URL
}

const WATCH_INTERVAL_MS = 100
const IDLE_TIMEOUT_MS = 60_000

export function createParsePool(options: ParsePoolOptions): ParsePool {
  const { tokenizerPath, threads = 1, timeoutMs = 30_000, memoryMb = 512, maxQueue = 64 } = options
  const { passwords = () => [] } = options
  const settings = {
    limits: { ...defaultLoadLimits, ...options.limits },
    chunk: { ...defaultChunkOptions, ...options.chunk },
    guard: options.guard ?? DOCUMENT_POLICY,
  }
  const maxBytes = Math.min(settings.limits.maxBytes, memoryMb * 1024 * 1024)
  const workerFile = options.workerFile ?? new URL('./parse-worker.ts', import.meta.url)
  const pool = new Piscina({
    filename: fileURLToPath(workerFile),
    workerData: { settings, tokenizerPath } satisfies ParseWorkerData,
    minThreads: 1,
    maxThreads: threads,
    idleTimeout: IDLE_TIMEOUT_MS,
    resourceLimits: { maxOldGenerationSizeMb: memoryMb },
    recordTiming: false,
  })
  // A worker that fails between two documents is replaced; the next document says what is wrong with it.
  pool.on('error', () => {})
  const slots = createSlots(threads, maxQueue)
  const watch = watchBuffers(pool, memoryMb * 1024 * 1024)
  let closed = false

  async function run(input: ParseInput, signal: AbortSignal | undefined): Promise<ParsedDocument> {
    // One copy, handed over: a failed document's own bytes are still needed, untouched.
    const bytes = Uint8Array.from(input.bytes)
    const limit = AbortSignal.timeout(timeoutMs)
    const stopWatching = watch.start()
    try {
      const task: ParseInput = { ...input, bytes, passwords: passwords() }
      const reply = (await pool.run(task, {
        transferList: [bytes.buffer],
        signal: signal ? AbortSignal.any([limit, signal]) : limit,
      })) as ParseReply
      if ('parsed' in reply) return reply.rest ? await withRest(reply.parsed, reply.rest) : reply.parsed
      if ('notReady' in reply)
        throw unavailable('parser_unavailable', `the parser cannot start: ${reply.notReady}`)
      const { code, message, status } = reply.failure
      throw invalid(code, message, status)
    } catch (error) {
      if (signal?.aborted) throw signal.reason
      if (closed) throw unavailable('parser_closed', 'the process is stopping', error)
      if (limit.aborted)
        throw loadFailure('timeout', `reading it took more than ${timeoutMs} ms: publish it in parts`, error)
      throw workerFailure(error, memoryMb)
    } finally {
      stopWatching()
    }
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
      signal?.throwIfAborted()
      if (closed) throw unavailable('parser_closed', 'the process is stopping')
      if (input.bytes.length > maxBytes) throw tooMuchToRead(maxBytes)
      const release = await slots.take(signal)
      try {
        return await run(input, signal)
      } finally {
        release()
      }
    },
    async close() {
      closed = true
      slots.close()
      await pool.destroy()
    },
  }
}

/** With the chunks that lie in the port: all were sent before the reply that came with it. */
async function withRest(parsed: ParsedDocument, rest: MessagePort): Promise<ParsedDocument> {
  const chunks = [...parsed.chunks]
  for (;;) {
    await setImmediate()
    const next: { message: Chunk[] } | undefined = receiveMessageOnPort(rest)
    if (!next) break
    chunks.push(...next.message)
  }
  rest.close()
  return { ...parsed, chunks }
}

function sha256(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex')
}

function workerFailure(error: unknown, memoryMb: number): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  // A worker ends without a code of its own where the watch below ended it.
  const exited = errorMessage(error).startsWith('worker exited')
  if (code === 'ERR_WORKER_OUT_OF_MEMORY' || exited)
    return loadFailure(
      'out_of_memory',
      `reading it took more than ${memoryMb} MB: publish it in parts`,
      error,
    )
  if (error instanceof AquiferError) return error
  // A library that is not installed, or a thread that the machine does not give, is no document's fault.
  if (code === 'ERR_MODULE_NOT_FOUND' || code === 'ERR_WORKER_INIT_FAILED')
    return unavailable('parser_unavailable', `the parser cannot start: ${errorMessage(error)}`, error)
  return loadFailure('broken', `it cannot be read (${errorMessage(error)}): publish a repaired copy`, error)
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

/** A worker's limits are its heap's: what it holds in buffers, such as an unpacked stream, is watched from outside. */
function watchBuffers(pool: Piscina, maxBytes: number) {
  let running = 0
  let timer: NodeJS.Timeout | null = null
  const look = async () => {
    for (const worker of pool.threads) {
      // Not to be asked while it starts or ends.
      const heap = await worker.getHeapStatistics().catch(() => null)
      if (heap && heap.external_memory > maxBytes) await worker.terminate()
    }
  }
  return {
    start(): () => void {
      running++
      timer ??= setInterval(() => void look(), WATCH_INTERVAL_MS).unref()
      return () => {
        running--
        if (running > 0 || !timer) return
        clearInterval(timer)
        timer = null
      }
    },
  }
}
