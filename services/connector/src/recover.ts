import { CHUNKS_RETENTION_MS } from '@aquifer/contracts/topics'
import { formatVersion, parseVersion } from '@aquifer/contracts/version'
import type { LogRecord } from '@aquifer/event-log/port'
import type { ConsumerDeps } from './deps.ts'

const DAY = 24 * 60 * 60 * 1000
const PAGE = 100
const EVERY_MS = 60 * 60 * 1000

/**
 * Chunks are kept for a week; a backlog that waits longer would lose them. What is still queued a day before that is read from the log
 * and chunked again. The chunks of a version are the same every time, so one made twice changes nothing.
 */
export function createRecovery(
  deps: ConsumerDeps,
  process: (record: LogRecord, version: string, signal: AbortSignal) => Promise<void>,
) {
  const { log, registry, clock, logger } = deps
  const stopping = new AbortController()
  let running: Promise<void> | null = null

  /** Page by page: what stays queued is not to hide what comes after it. */
  async function* queuedBefore(before: string) {
    let after: string | undefined
    do {
      const page = await registry.queuedBefore(before, PAGE, after)
      yield* page
      after = page.length < PAGE ? undefined : page.at(-1)?.version
    } while (after !== undefined)
  }

  /** Returns how many documents were chunked again. */
  async function recover(): Promise<number> {
    const appendTimeMs = clock.now() - (CHUNKS_RETENTION_MS - DAY)
    const before = formatVersion({ appendTimeMs, topic: '0', partition: 0, offset: 0 })
    let recovered = 0
    for await (const { documentId, version } of queuedBefore(before)) {
      const origin = parseVersion(version)
      const [record] = await log.read(origin.topic, origin.partition, origin.offset, 1)
      // Compacted away: a newer state of the document took its place, and is processed on its own.
      if (!record || record.offset !== origin.offset) continue
      logger.info({ documentId, version }, 'queued for so long that its chunks expire; chunked again')
      await process(record, version, stopping.signal)
      recovered++
    }
    return recovered
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        await recover()
        await clock.sleep(EVERY_MS, stopping.signal)
      } catch (error) {
        if (stopping.signal.aborted) return
        logger.warn({ err: error }, 'looking for expiring documents failed; it is tried again')
        await clock.sleep(EVERY_MS, stopping.signal).catch(() => undefined)
      }
    }
  }

  return {
    recover,
    start() {
      running = run()
    },
    async stop() {
      stopping.abort()
      await running
    },
  }
}
