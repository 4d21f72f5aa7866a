import { documentsCodec, TENANT } from '../world.fixture.ts'
import { topics } from '@aquifer/contracts/topics'
import type { EventLog } from '@aquifer/event-log/port'
import { systemClock } from '@aquifer/runtime/clock'
import { createLogger } from '@aquifer/runtime/logger'
import { createMetrics } from '@aquifer/runtime/metrics'
import { createTracing } from '@aquifer/runtime/tracing'
import { createDocumentFiles } from '@aquifer/stores/document-files'
import { createMemoryRegistry } from '@aquifer/stores/registry-memory'
import type { FolderWatchDeps } from './watch-folder.ts'

type Given = 'log' | 'blobs' | 'state' | 'folders'

/** All that a watch needs; what it warns of goes to `warnings`. */
export function folderWatchDeps(
  given: Pick<FolderWatchDeps, Given> & Partial<FolderWatchDeps>,
  warnings: string[],
): FolderWatchDeps {
  const warn = (_: object, message: string) => void warnings.push(message)
  return {
    logger: Object.assign(createLogger('silent', 'test'), { warn, error: warn }),
    registry: createMemoryRegistry(),
    files: createDocumentFiles(given.blobs),
    limits: { maxDocumentBytes: 2 * 1024 * 1024, uriHosts: [] },
    clock: systemClock,
    random: () => 0,
    uuid: () => crypto.randomUUID(),
    metrics: createMetrics(),
    tracing: createTracing(),
    probe: () => {},
    alsoDelete: () => [],
    tenant: TENANT,
    tuning: { settleMs: 5 },
    ...given,
  }
}

/** What was published and removed, in the order of the log. */
export async function watchRecords(log: EventLog) {
  const all = await Promise.all(
    [topics.documents.name, topics.documentsBulk.name].flatMap((topic) =>
      [0, 1].map((partition) => log.read(topic, partition, 0, 100_000)),
    ),
  )
  return all
    .flat()
    .sort((a, b) => a.appendTimeMs - b.appendTimeMs)
    .map(({ key, value, appendTimeMs }) => ({
      id: key!.toString().slice(`${TENANT}/`.length),
      document: value && documentsCodec.decode(value),
      appendTimeMs,
    }))
}
