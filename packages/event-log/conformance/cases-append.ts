import { expect } from 'vitest'
import { partitionOf } from '../src/partitioner.ts'
import type { LogRecord, NewRecord } from '../src/port.ts'
import { type Case, collector, keyPerPartition, numbered, offsetsOf, record, textOf } from './context.ts'

/** Appending, reading, and what is kept. */
export const appendCases: Record<string, Case> = {
  'append: positions are in the order of the records, and the records are there after a restart': async (
    t,
  ) => {
    const topic = await t.topic({ partitions: 4 })
    const records = Array.from({ length: 50 }, (_, n) => record(`key-${n % 7}`, String(n)))
    const positions = [
      ...(await t.log().append(topic, records.slice(0, 20))),
      ...(await t.log().append(topic, records.slice(20))),
    ]
    await t.reopen()
    for (const [n, { partition, offset, appendTimeMs }] of positions.entries()) {
      const [found] = await t.log().read(topic, partition, offset, 1)
      expect(found).toMatchObject({ topic, partition, offset, appendTimeMs })
      expect(textOf(found!)).toBe(String(n))
    }
    for (const { partition, earliest, next } of await t.log().offsets(topic)) {
      const given = positions.filter((position) => position.partition === partition)
      expect(offsetsOf(given)).toEqual(given.map((_, n) => n))
      expect([earliest, next]).toEqual([0, given.length])
    }
  },
  'append: a key goes to the partition that Kafka’s default partitioner gives it': async (t) => {
    const topic = await t.topic({ partitions: 7 })
    const keys = ['', 'a', 'tenant/document', 'schlüssel', '鍵', '🗝️', Buffer.from([0, 255, 128])]
    const positions = await t.log().append(
      topic,
      keys.map((key) => ({ key, value: null })),
    )
    expect(positions.map(({ partition }) => partition)).toEqual(
      keys.map((key) => partitionOf(Buffer.from(key as string), 7)),
    )
  },
  'append: records without a key are spread over the partitions': async (t) => {
    const topic = await t.topic({ partitions: 3 })
    for (const value of numbered(null, 30)) await t.log().append(topic, [value])
    for (const { next } of await t.log().offsets(topic)) expect(next).toBeGreaterThan(0)
  },
  'append: append times never decrease within a partition': async (t) => {
    const topic = await t.topic()
    for (let n = 0; n < 20; n++) await t.log().append(topic, numbered('key', 3))
    const times = (await t.log().read(topic, 0, 0, 100)).map(({ appendTimeMs }) => appendTimeMs)
    expect(times).toEqual(times.toSorted((a, b) => a - b))
  },
  'append: a record over the limit is refused, and those beside it with it': async (t) => {
    const topic = await t.topic()
    const { maxRecordBytes, maxAppendRecords } = t.log().limits
    const tooLarge: NewRecord = { key: 'key', value: Buffer.alloc(maxRecordBytes) }
    await expect(t.log().append(topic, [record('key', 'small'), tooLarge])).rejects.toMatchObject({
      code: 'record_too_large',
      retryable: false,
    })
    await expect(t.log().append(topic, numbered('key', maxAppendRecords + 1))).rejects.toMatchObject({
      code: 'append_too_large',
      retryable: false,
    })
    expect(await t.log().read(topic, 0, 0, 10)).toEqual([])
    const largest: NewRecord = { key: 'key', value: Buffer.alloc(maxRecordBytes - 3, 7) }
    await t.log().append(topic, [largest])
    const [found] = await t.log().read(topic, 0, 0, 10)
    expect(found!.value!.equals(largest.value!)).toBe(true)
  },
  'append: nothing appends nothing': async (t) => {
    expect(await t.log().append(await t.topic(), [])).toEqual([])
  },
  'topics: one that was not created is refused': async (t) => {
    const refused = { code: 'unknown_topic', retryable: false }
    const topic = 'test.never-created'
    await expect(t.log().append(topic, numbered('key', 1))).rejects.toMatchObject(refused)
    await expect(t.log().read(topic, 0, 0, 1)).rejects.toMatchObject(refused)
    await expect(t.log().offsets(topic)).rejects.toMatchObject(refused)
    await expect(t.subscribe(topic, async () => {})).rejects.toMatchObject(refused)
  },
  'topics: creating one again changes nothing, with more partitions or another policy it is refused': async (
    t,
  ) => {
    const spec = { name: await t.topic({ partitions: 2 }), partitions: 2, retentionMs: null } as const
    await t.log().append(spec.name, numbered('key', 3))
    await t.log().ensureTopics([{ ...spec, cleanup: 'delete' }])
    for (const other of [
      { ...spec, partitions: 3, cleanup: 'delete' },
      { ...spec, cleanup: 'compact' },
    ] as const)
      await expect(t.log().ensureTopics([other])).rejects.toMatchObject({ code: 'topic_mismatch' })
    const offsets = await t.log().offsets(spec.name)
    expect(offsets.reduce((sum, { next }) => sum + next, 0)).toBe(3)
    expect(offsets).toHaveLength(2)
  },
  'records: tombstones, empty values, binary keys and headers in any script come back as they were': async (
    t,
  ) => {
    const topic = await t.topic()
    const records: NewRecord[] = [
      { key: 'tombstone', value: null },
      { key: 'empty', value: Buffer.alloc(0) },
      { key: Buffer.from([0, 1, 254, 255]), value: Buffer.from([0, 0, 255]) },
      { key: null, value: Buffer.from('no key') },
      { key: '', value: Buffer.from('empty key') },
      { key: 'шлюз/文書/📄', value: Buffer.from('é'), headers: { 'ключ 🔑': '値\n"\\', empty: '' } },
    ]
    await t.log().append(topic, records)
    await t.reopen()
    const { records: delivered, handler } = collector()
    await t.subscribe(topic, handler)
    await t.until(() => delivered.length === records.length, 'all delivered')
    const shape = ({ key, value, headers = {} }: NewRecord | LogRecord) => ({
      key: key === null ? null : Buffer.from(key as string).toString('hex'),
      value: value && value.toString('hex'),
      headers: { ...headers },
    })
    expect(delivered.map(shape)).toEqual(records.map(shape))
    expect((await t.log().read(topic, 0, 0, 10)).map(shape)).toEqual(records.map(shape))
  },
  'read: from an offset on, as many as asked for': async (t) => {
    const topic = await t.topic()
    await t.log().append(topic, numbered('key', 20))
    expect((await t.log().read(topic, 0, 5, 3)).map(textOf)).toEqual(['5', '6', '7'])
    expect((await t.log().read(topic, 0, 18, 10)).map(textOf)).toEqual(['18', '19'])
    expect(await t.log().read(topic, 0, 20, 10)).toEqual([])
  },
  'read: values that are together large come in several answers, and all of them come': async (t) => {
    const topic = await t.topic()
    const value = Buffer.alloc(512 * 1024, 1)
    for (let n = 0; n < 10; n++) {
      await t.log().append(
        topic,
        Array.from({ length: 5 }, () => ({ key: 'key', value })),
      )
    }
    const offsets: number[] = []
    for (;;) {
      const records = await t.log().read(topic, 0, offsets.length, 1_000)
      if (records.length === 0) break
      offsets.push(...offsetsOf(records))
    }
    expect(offsets).toEqual(Array.from({ length: 50 }, (_, n) => n))
  },
  'offsetsAt: the first record at or after a time': async (t) => {
    const topic = await t.topic({ partitions: 2 })
    const [key, other] = keyPerPartition(2) as [string, string]
    const first = (await t.log().append(topic, [record(key, '0')]))[0]!
    let last = first
    await t.until(async () => {
      last = (await t.log().append(topic, [record(key, 'later')]))[0]!
      return last.appendTimeMs > first.appendTimeMs + 2
    }, 'the clock goes on')
    const held = await t.log().read(topic, 0, 0, 10_000)
    for (const timeMs of [0, first.appendTimeMs, first.appendTimeMs + 1, last.appendTimeMs]) {
      const at = await t.log().offsetsAt(topic, timeMs)
      expect(at).toContainEqual({
        partition: 0,
        offset: held.find(({ appendTimeMs }) => appendTimeMs >= timeMs)!.offset,
      })
      expect(at).toContainEqual({ partition: 1, offset: 0 })
    }
    await t.log().append(topic, [record(other, 'x')])
    expect(await t.log().offsetsAt(topic, last.appendTimeMs + 86_400_000)).toEqual([
      { partition: 0, offset: last.offset + 1 },
      { partition: 1, offset: 1 },
    ])
  },
  'compaction: the newest record of every key stays at its offset, tombstones too': async (t) => {
    const topic = await t.topic({ cleanup: 'compact' })
    for (let round = 0; round < 40; round++)
      await t.log().append(topic, [record('a', `a${round}`), record('b', `b${round}`)])
    await t.log().append(topic, [record('once', 'kept'), { key: 'b', value: null }])
    await t.log().append(topic, [record('a', 'newest')])
    const expected = [
      ['once', 'kept', 80],
      ['b', 'null', 81],
      ['a', 'newest', 82],
    ]
    const held = async () =>
      (await t.log().read(topic, 0, 0, 1_000)).map((found) => [
        String(found.key),
        String(found.value),
        found.offset,
      ])
    await t.harness.clean(t.log(), 0)
    expect(await held()).toEqual(expected)
    expect(await t.log().offsets(topic)).toEqual([{ partition: 0, earliest: 80, next: 83 }])
    await t.reopen()
    expect((await t.log().append(topic, [record('b', 'back')]))[0]!.offset).toBe(83)
    await t.harness.clean(t.log(), 400 * 86_400_000)
    expect(await held()).toEqual([expected[0], expected[2], ['b', 'back', 83]])

    const { records, handler } = collector()
    await t.subscribe(topic, handler)
    await t.until(() => records.length === 3, 'the group steps over what is gone')
    await t.until(async () => (await t.log().lag('group', topic)) === 0, 'no lag')
  },
  'compaction: a record without a key is refused, for nothing could replace it': async (t) => {
    const topic = await t.topic({ cleanup: 'compact' })
    await expect(t.log().append(topic, numbered(null, 1))).rejects.toMatchObject({ code: 'key_required' })
  },
  'retention: what is older is dropped, what is younger stays, offsets go on': async (t) => {
    const topic = await t.topic({ retentionMs: 3_600_000 })
    const eternal = await t.topic()
    await t.log().append(topic, numbered('key', 150))
    await t.log().append(eternal, numbered('key', 150))
    await t.harness.clean(t.log(), 1_800_000)
    expect(await t.log().offsets(topic)).toEqual([{ partition: 0, earliest: 0, next: 150 }])
    await t.harness.clean(t.log(), 1_900_000)
    expect(await t.log().offsets(topic)).toEqual([{ partition: 0, earliest: 150, next: 150 }])
    expect(await t.log().lag('group', topic)).toBe(0)
    await t.reopen()
    const [position] = await t.log().append(topic, numbered('key', 1))
    expect(position!.offset).toBe(150)
    expect(await t.log().offsets(eternal)).toEqual([{ partition: 0, earliest: 0, next: 150 }])
    const { records, handler } = collector()
    await t.subscribe(topic, handler)
    await t.until(() => records.length === 1, 'the group starts at what is held')
  },
  'ping: resolves while the log can be used, and every call says so when it is closed': async (t) => {
    const topic = await t.topic()
    await t.log().ping()
    const closed = t.log()
    await t.reopen()
    const gone = { code: 'log_unavailable', retryable: true }
    await expect(closed.ping()).rejects.toMatchObject(gone)
    await expect(closed.append(topic, numbered('key', 1))).rejects.toMatchObject(gone)
    await t.log().ping()
  },
}
