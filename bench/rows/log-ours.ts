import { workerData } from 'node:worker_threads'
import { createSqliteEventLog } from '@aquifer/event-log/sqlite'
import { systemClock } from '@aquifer/runtime/clock'
import { serve } from './log-thread.ts'
import {
  BATCH_PUBLISHERS,
  CONSUME_RECORDS,
  fromCallers,
  measured,
  PUBLISHERS,
  TOPIC,
  touch,
  type LogSetup,
  type LogSide,
} from './log-work.ts'

/** The embedded log through its port. */
function open({ place, consumed }: LogSetup): LogSide {
  const log = createSqliteEventLog({ path: place, clock: systemClock, maintainEveryMs: null })

  return {
    append: (records) => fromCallers(PUBLISHERS, records, (record) => log.append(TOPIC, [record])),
    appendBatches: (batches) => fromCallers(BATCH_PUBLISHERS, batches, (batch) => log.append(TOPIC, batch)),
    async consume(group) {
      const done = Promise.withResolvers<void>()
      let left = consumed
      const subscription = await log.subscribe(
        { group, topics: ['consume'], maxBatchRecords: CONSUME_RECORDS, onError: done.reject },
        async (batch) => {
          left -= touch(batch.records)
          await batch.commit(batch.records.at(-1)!.offset)
          if (left === 0) done.resolve()
        },
      )
      await done.promise
      await subscription.stop()
    },
    close: () => log.close(),
  }
}

const setup = workerData as LogSetup
serve(Promise.resolve(measured(open(setup), setup)))
