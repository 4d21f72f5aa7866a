import { copyFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSqliteEventLog } from '@aquifer/event-log/sqlite'
import { PartMissing } from '@aquifer/infra/part'
import { startRedis } from '@aquifer/infra/redis'
import { startTestPart } from '@aquifer/infra/test-part'
import { systemClock } from '@aquifer/runtime/clock'
import type { Bench, BenchOptions, Comparison, Side, Sides } from '../comparison.ts'
import { documentRecords, inRuns } from './log-records.ts'
import { startThread } from './log-thread.ts'
import {
  BATCH_PUBLISHERS,
  BATCH_RECORDS,
  CONSUME_RECORDS,
  PARTITIONS,
  PUBLISHERS,
  TOPIC,
} from './log-work.ts'
import type { LogSetup, LogTask } from './log-work.ts'

const common = { unit: 'records/s', better: 'more', goal: 1 } as const satisfies Partial<Comparison>

/**
 * The embedded log beside better-sqlite3 on the same tables and Redis streams, each in a thread of its own.
 *
 * Equal in append: a record of about 1 KiB is on the disk when its call is answered (WAL with `synchronous=FULL`; `appendonly` with
 * `appendfsync always`), in the partition of its key, in the order of the calls. better-sqlite3 comes twice: one transaction for each
 * call, and, as one builds it who has many callers, one for all that wait when a turn of its event loop ends, each told its offsets. Equal in
 * consume: 64 records of a partition at a time, in order and with their headers read, handed to an asynchronous handler, and each batch
 * committed on the disk before the partition's next one; a group that comes back goes on after its commit. Ours alone does this beside the event loop, and overwrites what it deletes (`secure_delete`); no
 * side cleans up meanwhile.
 */
export const logBench: Bench = {
  rows: [
    {
      ...common,
      name: 'log-append',
      title: `embedded log, durable appends of one record from ${PUBLISHERS} callers`,
      limit:
        "the pages that SQLite writes for a commit, more than its fsync; two hops between threads and the callers' turns come after it",
    },
    {
      ...common,
      name: 'log-append-batch',
      title: `embedded log, durable appends of ${BATCH_RECORDS} records from ${BATCH_PUBLISHERS} callers`,
      limit: 'the pages that SQLite writes for a commit, and its inserts',
    },
    {
      ...common,
      name: 'log-consume',
      title: `embedded log, consumed and committed ${CONSUME_RECORDS} at a time from ${PARTITIONS} partitions`,
      limit: 'the reading thread, which SQLite keeps busy; commits and handlers go on beside it',
    },
  ],
  open,
}

async function open({ smoke }: BenchOptions): Promise<Sides> {
  const appended = smoke ? 400 : 10_000
  const consumed = smoke ? 1_000 : 40_000
  const filled = documentRecords(consumed)
  const redis = await startTestPart('redis', startRedis)
  if ('missing' in redis) throw new PartMissing(redis.missing)
  const dir = await mkdtemp(join(tmpdir(), 'aquifer-bench-log-'))
  const place = (name: string): string => join(dir, `${name}.db`)
  await fill(place('ours'), filled)
  for (const name of ['single', 'grouped']) copyFileSync(place('ours'), place(name))
  const threads = await Promise.all([
    thread('the embedded log', new URL('./log-ours.ts', import.meta.url), {
      place: place('ours'),
      appended,
      consumed,
    }),
    thread('better-sqlite3, group commit', new URL('./log-sqlite.ts', import.meta.url), {
      place: place('grouped'),
      appended,
      consumed,
      grouped: true,
    }),
    thread('better-sqlite3', new URL('./log-sqlite.ts', import.meta.url), {
      place: place('single'),
      appended,
      consumed,
    }),
    thread('Redis streams', new URL('./log-redis.ts', import.meta.url), {
      place: redis.part.url,
      appended,
      consumed,
    }),
  ])
  const sides = threads.map(({ side }) => side)
  if (!smoke) for (const side of sides) await side.run(-1)
  return {
    ours: sides[0]!,
    peers: sides.slice(1),
    async close() {
      await Promise.all(threads.map(({ close }) => close()))
      await redis.stop()
      await rm(dir, { recursive: true, force: true })
    },
  }
}

async function thread(
  name: string,
  module: URL,
  setup: LogSetup,
): Promise<{ side: Side; close: () => Promise<void> }> {
  const started = await startThread<LogTask>(module, setup)
  return {
    close: () => started.close(),
    side: {
      name,
      run: async (round) => ({
        'log-append': await started.run({ kind: 'append' }),
        'log-append-batch': await started.run({ kind: 'append-batch' }),
        'log-consume': await started.run({ kind: 'consume', group: `round ${round}` }),
      }),
    },
  }
}

/** The file with its topics, and all that there is to consume. */
async function fill(path: string, records: ReturnType<typeof documentRecords>): Promise<void> {
  const log = createSqliteEventLog({ path, clock: systemClock, maintainEveryMs: null })
  await log.ensureTopics(
    [TOPIC, 'consume'].map((name) => ({
      name,
      partitions: PARTITIONS,
      retentionMs: null,
      cleanup: 'compact',
    })),
  )
  for (const batch of inRuns(records, BATCH_RECORDS)) await log.append('consume', batch)
  await log.close()
}
