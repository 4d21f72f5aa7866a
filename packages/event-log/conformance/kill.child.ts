import { writeSync } from 'node:fs'
import { systemClock } from '@aquifer/runtime/clock'
import { createSqliteEventLog } from '../src/adapters/sqlite.ts'

/**
 * Appends and consumes until it is killed. Says on standard output, at once and only after the log has said it:
 * `append <partition> <offset> <value>`, `deliver <partition> <first offset> <value>`, `commit <partition> <offset>`.
 */
const [path, run] = process.argv.slice(2) as [string, string]
const say = (...words: (string | number)[]): void => void writeSync(1, `${words.join(' ')}\n`)

const log = createSqliteEventLog({ path, clock: systemClock, maintainEveryMs: 50 })
const topic = 'killed'
await log.ensureTopics([{ name: topic, partitions: 3, retentionMs: null, cleanup: 'delete' }])
await log.subscribe({ group: 'group', topics: [topic], maxBatchRecords: 8 }, async (batch) => {
  const [first] = batch.records
  say('deliver', batch.partition, first!.offset, first!.headers['name']!)
  const { offset } = batch.records.at(-1)!
  await batch.commit(offset)
  say('commit', batch.partition, offset)
})

async function appendForEver(writer: number): Promise<never> {
  for (let round = 0; ; round++) {
    const records = Array.from({ length: 1 + (round % 5) }, (_, n) => ({
      key: `key-${writer}-${n}`,
      value: Buffer.alloc(round % 7 === 0 ? 100_000 : 100, n),
      headers: { name: `${run}-${writer}-${round}-${n}` },
    }))
    const positions = await log.append(topic, records)
    positions.forEach(({ partition, offset }, n) =>
      say('append', partition, offset, records[n]!.headers.name),
    )
  }
}
await Promise.all([0, 1, 2, 3].map(appendForEver))
