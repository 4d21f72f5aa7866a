import { Worker } from 'node:worker_threads'
import { errorMessage, unavailable } from '@aquifer/runtime/errors'
import type { Embedding, EmbedOptions, Lane, Passage } from './embedder.ts'
import { laneQueue, type LaneQueue } from './lanes.ts'
import type { PassageTask, WorkerData, WorkerReply, WorkerRequest, WorkerSetup } from './onnx-protocol.ts'

export interface PoolOptions {
  readonly setup: WorkerSetup
  readonly documentWorkers: number
  /** Estimated tokens handed to a worker at once: how long urgent work may have to wait. */
  readonly jobTokens: number
  /** The worker's module; another one is for tests. */
  readonly module?: URL
  readonly jobTimeoutMs?: number
}

const MAX_ATTEMPTS = 3
const MAX_QUEUED_CHARS = 64 * 1024 * 1024
/** Held per passage or text beside its characters. */
const ITEM_CHARS = 64
const CLOSE_TIMEOUT_MS = 5_000
const JOB_TIMEOUT_MS = 120_000
const JOBS_AHEAD: Record<Slot['role'], number> = { query: 1, documents: 2 }
const MAX_STARTS_IN_VAIN = 3
const RESTART_DELAY_MS = 200
/** More of a passage is never needed to fill the model. */
const MAX_PASSAGE_CHARS = 256 * 1024
/** A longer text is counted in slices, so that a query between them waits for one only. */
const COUNT_SLICE_CHARS = 64 * 1024
const CHARS_PER_TOKEN = 4

type Work =
  | { readonly kind: 'embed'; readonly passage: PassageTask; readonly done: (result: Embedding) => void }
  | { readonly kind: 'count'; readonly text: string; readonly done: (tokens: number) => void }

interface Item {
  readonly lane: Lane
  readonly tokens: number
  readonly chars: number
  readonly work: Work
  readonly call: Call
  attempts: number
}

/** One call of the embedder, which is over when all its items are, or one of them failed. */
interface Call {
  missing: number
  settled: boolean
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

interface Slot {
  readonly role: 'query' | 'documents'
  worker: Worker | null
  ready: boolean
  /** Given to the worker, the one under way first. */
  jobs: (readonly Item[])[]
  /** Of the job under way; or of the pause before the worker is started again. */
  timer: NodeJS.Timeout | undefined
}

/**
 * Worker threads with a session each, and what waits for them.
 *
 *  P1  One worker takes queries and token counts alone, so that a search never waits for a batch of documents.
 *  P2  A worker that dies or hangs is replaced; its work is tried again, alone, at most `MAX_ATTEMPTS` times in all, then
 *      fails as `embedder_failed` (retryable).
 *  P3  What waits is bounded: beyond `MAX_QUEUED_CHARS` a call fails as `embedder_busy` (retryable).
 *  P4  Document workers start with the first documents.
 *  P5  A document worker has its next job before it ends the one under way, so that it never waits for the caller's thread.
 */
export class InferencePool {
  /** Resolves when the first worker is ready; rejects as `embedder_unusable` with what it says when it cannot start. */
  readonly started: Promise<void>
  readonly #options: PoolOptions
  readonly #embeds: LaneQueue<Item> = laneQueue()
  readonly #counts: LaneQueue<Item> = laneQueue()
  readonly #slots: readonly Slot[]
  readonly #exits = new Set<Promise<void>>()
  readonly #begin: () => void
  readonly #giveUp: (error: Error) => void
  #queuedChars = 0
  #startsInVain = 0
  #closed = false

  constructor(options: PoolOptions) {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.started = promise
    this.#begin = resolve
    this.#giveUp = reject
    this.#options = options
    this.#slots = Array.from({ length: 1 + options.documentWorkers }, (_, index) => ({
      role: index === 0 ? 'query' : 'documents',
      worker: null,
      ready: false,
      jobs: [],
      timer: undefined,
    }))
    this.#spawn(this.#slots[0]!)
  }

  async embed(passages: readonly Passage[], { lane, signal, words }: EmbedOptions): Promise<Embedding[]> {
    const results: Embedding[] = []
    const work = passages.map((passage, index): Work => ({
      kind: 'embed',
      passage: { ...passage, text: passage.text.slice(0, MAX_PASSAGE_CHARS), words },
      done: (result) => (results[index] = result),
    }))
    await this.#submit(work, lane, signal)
    return results
  }

  async countTokens(texts: readonly string[]): Promise<number[]> {
    const totals = texts.map(() => 0)
    const work = texts.flatMap((text, index) =>
      slices(text).map((slice): Work => ({
        kind: 'count',
        text: slice,
        done: (tokens) => (totals[index] = totals[index]! + tokens),
      })),
    )
    await this.#submit(work, 'interactive')
    return totals
  }

  /** Ends the work in progress, for at most `CLOSE_TIMEOUT_MS`; what waits fails as `embedder_closed`. */
  async close(): Promise<void> {
    this.#closed = true
    this.#failAll(unavailable('embedder_closed', 'the embedder was closed'))
    for (const { worker } of this.#slots) {
      worker?.ref()
      worker?.postMessage({ type: 'close' } satisfies WorkerRequest)
    }
    const kill = setTimeout(() => {
      for (const { worker } of this.#slots) void worker?.terminate()
    }, CLOSE_TIMEOUT_MS)
    await Promise.all(this.#exits)
    clearTimeout(kill)
  }

  async #submit(work: readonly Work[], lane: Lane, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    if (this.#closed) throw unavailable('embedder_closed', 'the embedder is closed')
    if (work.length === 0) return
    const chars = work.reduce((sum, each) => sum + charsOf(each), 0)
    if (this.#queuedChars > 0 && this.#queuedChars + chars > MAX_QUEUED_CHARS)
      throw unavailable('embedder_busy', `${this.#queuedChars} characters wait for the embedder: try later`)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const call: Call = { missing: work.length, settled: false, resolve, reject }
    const onAbort = () => this.#abandon(call, signal?.reason)
    signal?.addEventListener('abort', onAbort, { once: true })
    for (const each of work) this.#queueOf(each).push(this.#item(each, lane, call))
    this.#queuedChars += chars
    this.#pump()
    try {
      await promise
    } finally {
      signal?.removeEventListener('abort', onAbort)
    }
  }

  #item(work: Work, lane: Lane, call: Call): Item {
    const estimate = Math.ceil(textOf(work).length / CHARS_PER_TOKEN) + 2
    const tokens = work.kind === 'embed' ? Math.min(estimate, this.#options.setup.maxTokens) : estimate
    return { lane, tokens, chars: charsOf(work), work, call, attempts: 0 }
  }

  #queueOf(work: Work): LaneQueue<Item> {
    return work.kind === 'embed' ? this.#embeds : this.#counts
  }

  #abandon(call: Call, error: unknown): void {
    if (call.settled) return
    call.settled = true
    for (const queue of [this.#embeds, this.#counts])
      for (const item of queue.remove((each) => each.call === call)) this.#queuedChars -= item.chars
    call.reject(error)
  }

  #failAll(error: Error): void {
    for (const queue of [this.#embeds, this.#counts])
      for (const item of queue.remove(() => true)) this.#abandon(item.call, error)
    this.#queuedChars = 0
  }

  /** Gives every free worker its next job, and starts the workers that are wanted. */
  #pump(): void {
    if (this.#closed) return
    for (const slot of this.#slots) {
      const waiting = this.#embeds.size + (slot.role === 'query' ? this.#counts.size : 0)
      if (!slot.worker && !slot.timer && waiting > 0) this.#spawn(slot)
    }
    // First one job for every free worker, then the next for each.
    for (let held = 0; held < Math.max(...Object.values(JOBS_AHEAD)); held++) {
      for (const slot of this.#slots) {
        if (!slot.ready || slot.jobs.length !== held || held >= JOBS_AHEAD[slot.role]) continue
        const job = this.#nextJob(slot)
        if (job.length > 0) this.#send(slot, job)
      }
    }
  }

  #nextJob(slot: Slot): Item[] {
    const { jobTokens } = this.#options
    if (slot.role === 'documents') return this.#embeds.take(jobTokens)
    const queries = this.#embeds.take(jobTokens, ['query'])
    return queries.length > 0 ? queries : this.#counts.take(COUNT_SLICE_CHARS / CHARS_PER_TOKEN)
  }

  #send(slot: Slot, job: readonly Item[]): void {
    const worker = slot.worker!
    for (const item of job) this.#queuedChars -= item.chars
    slot.jobs.push(job)
    if (slot.jobs.length === 1) this.#watch(slot)
    worker.ref()
    worker.postMessage(requestOf(job))
  }

  /** The job under way has its time from now on. */
  #watch(slot: Slot): void {
    const { worker } = slot
    slot.timer = setTimeout(() => void worker?.terminate(), this.#options.jobTimeoutMs ?? JOB_TIMEOUT_MS)
  }

  #spawn(slot: Slot): void {
    const module = this.#options.module ?? new URL('onnx-worker.ts', import.meta.url)
    const isBackground = slot.role === 'documents'
    const workerData: WorkerData = { ...this.#options.setup, isBackground }
    const worker = new Worker(module, { workerData })
    slot.worker = worker
    let why = 'its thread ended'
    worker.on('message', (reply: WorkerReply) => {
      if (reply.type === 'unusable') why = reply.message
      else this.#onReply(slot, reply)
    })
    worker.on('error', (error) => (why = errorMessage(error)))
    const exit = new Promise<void>((resolve) => worker.once('exit', () => resolve())).then(() => {
      this.#exits.delete(exit)
      this.#onExit(slot, why)
    })
    this.#exits.add(exit)
  }

  #onReply(slot: Slot, reply: Exclude<WorkerReply, { type: 'unusable' }>): void {
    if (reply.type === 'ready') {
      slot.ready = true
      this.#startsInVain = 0
      this.#begin()
    } else {
      const job = endJob(slot)
      if (slot.jobs.length > 0) this.#watch(slot)
      if (reply.type === 'failed') this.#tryAgain(job, reply.message)
      else if (reply.type === 'embedded') deliver(job, reply.embeddings)
      else deliverCounts(job, reply.counts)
    }
    this.#pump()
    if (slot.jobs.length === 0 && !this.#closed) slot.worker?.unref()
  }

  #onExit(slot: Slot, why: string): void {
    const wasReady = slot.ready
    slot.worker = null
    slot.ready = false
    const underWay = endJob(slot)
    for (const job of slot.jobs.splice(0).toReversed()) this.#putBack(job)
    this.#tryAgain(underWay, why)
    if (this.#closed) return this.#failAll(unavailable('embedder_closed', 'the embedder was closed'))
    this.#giveUp(unavailable('embedder_unusable', why))
    if (!wasReady && ++this.#startsInVain >= MAX_STARTS_IN_VAIN) {
      this.#startsInVain = 0
      this.#failAll(unavailable('embedder_failed', `the embedding model does not start: ${why}`))
    }
    // The pause keeps a broken machine from spinning.
    slot.timer = setTimeout(() => {
      slot.timer = undefined
      this.#pump()
    }, RESTART_DELAY_MS)
  }

  #tryAgain(job: readonly Item[], why: string): void {
    for (const item of job) {
      item.attempts++
      if (item.attempts >= MAX_ATTEMPTS)
        this.#abandon(
          item.call,
          unavailable('embedder_failed', `the embedding model failed ${item.attempts} times: ${why}`),
        )
    }
    this.#putBack(job)
  }

  #putBack(job: readonly Item[]): void {
    for (const item of job.toReversed()) {
      if (item.call.settled) continue
      this.#queuedChars += item.chars
      this.#queueOf(item.work).putBack(item)
    }
  }
}

function endJob(slot: Slot): readonly Item[] {
  clearTimeout(slot.timer)
  slot.timer = undefined
  return slot.jobs.shift() ?? []
}

function deliver(job: readonly Item[], embeddings: readonly Embedding[]): void {
  job.forEach(({ work, call }, index) => {
    if (work.kind !== 'embed') return
    work.done(embeddings[index]!)
    settle(call)
  })
}

function deliverCounts(job: readonly Item[], counts: readonly number[]): void {
  job.forEach(({ work, call }, index) => {
    if (work.kind !== 'count') return
    work.done(counts[index]!)
    settle(call)
  })
}

function settle(call: Call): void {
  if (call.settled || --call.missing > 0) return
  call.settled = true
  call.resolve()
}

function requestOf(job: readonly Item[]): WorkerRequest {
  const works = job.map(({ work }) => work)
  return works[0]?.kind === 'embed'
    ? { type: 'embed', passages: works.flatMap((work) => (work.kind === 'embed' ? work.passage : [])) }
    : { type: 'count', texts: works.map(textOf) }
}

function textOf(work: Work): string {
  return work.kind === 'embed' ? work.passage.text : work.text
}

function charsOf(work: Work): number {
  return textOf(work).length + ITEM_CHARS
}

/** The text in parts that end where a word does, so that their tokens add up to its own. */
function slices(text: string): string[] {
  const parts: string[] = []
  const space = /[\t\n\r ]/g
  for (let start = 0; start < text.length || start === 0;) {
    space.lastIndex = start + COUNT_SLICE_CHARS
    const end = space.exec(text)?.index ?? text.length
    parts.push(text.slice(start, end))
    start = Math.max(end, start + 1)
  }
  return parts
}
