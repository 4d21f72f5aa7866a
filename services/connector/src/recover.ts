import { CHUNKS_RETENTION_MS } from '@aquifer/contracts/topics'
import { formatVersion, parseVersion } from '@aquifer/contracts/version'
import type { LogRecord } from '@aquifer/event-log/port'
import { createPeriodic } from '@aquifer/runtime/periodic'
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
  async function recover(signal: AbortSignal): Promise<number> {
    const appendTimeMs = clock.now() - (CHUNKS_RETENTION_MS - DAY)
    const before = formatVersion({ appendTimeMs, topic: '0', partition: 0, offset: 0 })
    let recovered = 0
    for await (const { documentId, version } of queuedBefore(before)) {
      const origin = parseVersion(version)
      const [record] = await log.read(origin.topic, origin.partition, origin.offset, 1)
      // Compacted away: a newer state of the document took its place, and is processed on its own.
      if (!record || record.offset !== origin.offset) continue
      logger.info({ documentId, version }, 'queued for so long that its chunks expire; chunked again')
      await process(record, version, signal)
      recovered++
    }
    return recovered
  }

  const periodic = createPeriodic('looking for expiring documents', EVERY_MS, deps, async (signal) => {
    await recover(signal)
  })
  return { recover, ...periodic }
}
