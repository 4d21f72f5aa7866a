import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { startRedis } from '@aquifer/infra/redis'
import { startTestPart } from '@aquifer/infra/test-part'
import type { DocumentRecord } from '@aquifer/stores/registry'
import { command, GROUP, startWorld, TOPIC, until } from './soundness-world.ts'
import type { World } from './soundness-world.ts'

const probe = await startTestPart('redis', startRedis)
let world: World
let dir: string

async function start(options?: string): Promise<void> {
  dir = await mkdtemp(join(tmpdir(), 'aquifer-soundness-'))
  world = await startWorld(dir, options)
}

async function lookUp(id: string): Promise<DocumentRecord | undefined> {
  return (await world.registry.lookUp('acme', [id])).get(id)
}

const CHECKED = { code: 'registry_unavailable', retryable: true, status: 503 }

async function expectNoAnswers(): Promise<void> {
  await expect(lookUp('a')).rejects.toMatchObject(CHECKED)
  await expect(world.registry.list('acme', { limit: 10, groups: null })).rejects.toMatchObject(CHECKED)
  await expect(world.registry.counts('acme')).rejects.toMatchObject(CHECKED)
  await expect(world.registry.recentLags('acme')).rejects.toMatchObject(CHECKED)
  await expect(world.registry.queuedBefore('f', 10)).rejects.toMatchObject(CHECKED)
}

describe.skipIf('missing' in probe)(`soundness${'missing' in probe ? ` (${probe.missing})` : ''}`, () => {
  if (!('missing' in probe)) afterAll(probe.stop)
  afterEach(async () => {
    await world.close()
    await rm(dir, { recursive: true, force: true })
  })

  /** Two documents, consumed, and answered for. */
  async function startSound(options?: string): Promise<void> {
    await start(options)
    for (const id of ['a', 'b']) await world.append(id)
    await expectNoAnswers()
    await world.consume()
    expect(await world.establish()).toBe('sound')
    expect(await lookUp('a')).toMatchObject({ documentId: 'a' })
    await world.consumed()
  }

  test('S3 a restarted server answers again without anything applied twice', async () => {
    await startSound()
    await world.master.kill()
    await world.master.restart()
    await world.answering()
    await expectNoAnswers()
    expect(await world.establish()).toBe('sound')
    expect(await lookUp('a')).toMatchObject({ documentId: 'a' })
    expect(world.processed.toSorted()).toEqual(['a', 'b'])
  })

  test('S3 a replica that had everything takes over without anything applied twice', async () => {
    await startSound('?confirmReplicas=1')
    await world.failOver()
    await expectNoAnswers()
    // Nobody is left to confirm, so nothing more is committed; but what there is can be answered for.
    expect(await world.establish()).toBe('sound')
    expect(world.processed.toSorted()).toEqual(['a', 'b'])
  })

  test('S3 a server that was a replica for a while is another one, although its process is the same', async () => {
    await startSound()
    await command(world.master, `REPLICAOF 127.0.0.1 ${new URL(world.replica.url).port}`)
    await expectNoAnswers()
    await command(world.master, 'REPLICAOF NO ONE')
    await expectNoAnswers()
    expect(await world.establish()).toBe('sound')
  })

  test('S3 a deletion that was answered for and lost by the fail-over is applied before anything is answered', async () => {
    await startSound()
    world.subscription().pause()
    await world.cutReplica()
    const version = await world.append('a', null)
    await world.registry.raiseFloor('acme', 'a', version)
    expect(await lookUp('a')).toMatchObject({ visible: null })
    await world.failOver()
    expect((await world.registry.applying.lookUp('acme', ['a'])).get('a')!.visible).not.toBeNull()
    const established = world.establish()
    await expectNoAnswers()
    world.subscription().resume()
    expect(await established).toBe('sound')
    expect(await lookUp('a')).toMatchObject({ visible: null, floor: version })
  })

  test('S4 commits past the markers: the writes in between are lost, although no record comes any more', async () => {
    await startSound()
    await world.cutReplica()
    await world.append('c')
    await world.consumed()
    expect(await lookUp('c')).toMatchObject({ documentId: 'c' })
    await world.failOver()
    await expectNoAnswers()
    expect(await world.establish()).toBe('lost')
    await expectNoAnswers()
    // For good, whoever asks and whatever comes.
    expect(await world.establish()).toBe('lost')
    expect(await world.registry.soundness.declareSound(await world.registry.soundness.identity())).toBe(false)
  })

  test('S2 a record that follows lost ones is not confirmed, and so covers nothing up', async () => {
    await startSound()
    await world.cutReplica()
    await world.append('c')
    await world.consumed()
    await world.failOver()
    // The next record of the same partition.
    await world.append('c')
    await until('the loss is seen', async () => (await world.registry.soundness.state()) === 'lost')
    expect(await world.log.lag(GROUP, TOPIC)).toBe(1)
    expect(await world.establish()).toBe('lost')
  })

  test('S2 a batch begun on one server is not vouched for on another, but done again', async () => {
    await startSound()
    await world.cutReplica()
    const arrived = Promise.withResolvers<void>()
    const goOn = Promise.withResolvers<void>()
    world.inTheMidst(async () => {
      arrived.resolve()
      await goOn.promise
    })
    await world.append('c')
    await arrived.promise
    await world.failOver()
    expect((await world.registry.applying.lookUp('acme', ['c'])).has('c')).toBe(false)
    goOn.resolve()
    await world.consumed()
    expect(world.processed.filter((id) => id === 'c')).toHaveLength(2)
    expect(await world.establish()).toBe('sound')
    expect(await lookUp('c')).toMatchObject({ documentId: 'c' })
  })

  test('S1 nothing is committed before as many replicas have it as are asked for', async () => {
    await startSound('?confirmReplicas=1&confirmTimeoutMs=200')
    await world.replica.kill()
    await world.append('c')
    await until('c is applied', () => world.processed.includes('c'))
    const version = await world.append('b', null)
    await expect(world.registry.raiseFloor('acme', 'b', version)).rejects.toMatchObject(CHECKED)
    expect(await world.log.lag(GROUP, TOPIC)).toBe(2)
    await world.replica.restart()
    await world.consumed()
  })

  test('S4 a registry that was filled before its consumers began, and has nothing of it, is lost', async () => {
    await start()
    const prepared = { group: 'restore', topic: 'indexed' }
    const { soundness } = world.registry
    const progress = { ...prepared, partition: 0, first: 0, last: 0 }
    const { outcome } = await soundness.confirm({ ...progress, identity: await soundness.identity() })
    expect([outcome, await world.establish(prepared)]).toEqual(['confirmed', 'sound'])
    await command(world.master, 'FLUSHALL')
    expect(await world.establish(prepared)).toBe('lost')
    await expectNoAnswers()
  })

  test('S2 a gap of compacted records is no loss', async () => {
    await startSound()
    world.subscription().pause()
    for (let round = 0; round < 3; round++) await world.append('a', `${round}`)
    await world.log.maintain()
    world.subscription().resume()
    await world.consumed()
    expect(await world.registry.soundness.state()).toBe('sound')
    expect(world.processed.filter((id) => id === 'a').length).toBeLessThan(4)
  })

  test('S3 a server whose data was wiped answers nothing, and is lost', async () => {
    await startSound()
    await command(world.master, 'FLUSHALL')
    await expectNoAnswers()
    expect(await world.establish()).toBe('lost')
  })
})
