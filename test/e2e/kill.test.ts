import { createHash } from 'node:crypto'
import { openLanceDb } from '@aquifer/stores/lancedb'
import { openDatabase } from '@aquifer/runtime/sqlite'
import { createSqliteRegistry, registrySchema } from '@aquifer/stores/registry-sqlite'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { seeded } from './harness/seeded.ts'
import { eventually, newDataDir, publish, removeDataDir, request, startServer } from './harness/server.ts'
import type { Server } from './harness/server.ts'

const WRITES = [
  'append',
  'queued',
  'source',
  'text',
  'chunks',
  'points',
  'flip',
  'indexed',
  'cleanup',
  'commit',
  'floor',
]
const SEED = Number(process.env['KILL_SEED'] ?? 20261121)
const MOMENTS = 20
/** About as long as a run takes. */
const WINDOW_MS = 1500

/** The lexical embedder gives the same vectors every time, so indexes can be compared to the letter. */
const ENV = { AQUIFER_EMBEDDER: 'lexical:', AQUIFER_PARTITIONS: '2' }
const IDS = ['alpha', 'beta/with/slashes', 'gämma 😀', 'delta', 'epsilon']

function text(id: string, version: number): string {
  const paragraphs = Array.from(
    { length: 6 },
    (_, i) =>
      `Paragraph ${i} of ${id}, state ${version % 3 === i % 3 ? version : 'kept'}. ${'It says a little more. '.repeat(12)}`,
  )
  return `# ${id}\n\n${paragraphs.join('\n\n')}\n`
}

/** What the producer does: every document twice, one of them deleted, one published again after its deletion. */
const STEPS: { id: string; version: number | null }[] = [
  ...IDS.map((id) => ({ id, version: 1 })),
  ...IDS.map((id) => ({ id, version: 2 })),
  { id: 'delta', version: null },
  { id: 'epsilon', version: null },
  { id: 'epsilon', version: 3 },
]

/** Each step until it is accepted; where the process dies, it is started again. */
async function produce(
  dataDir: string,
  firstEnv: Record<string, string>,
): Promise<{ server: Server; deaths: number }> {
  let deaths = 0
  const revive = async (): Promise<Server> => {
    deaths++
    return await startServer(dataDir, ENV)
  }
  let server = await startServer(dataDir, { ...ENV, ...firstEnv }).catch(revive)
  for (const { id, version } of STEPS) {
    await eventually(`step ${id} ${version}`, async () => {
      if (server.process.exitCode !== null || server.process.signalCode !== null) server = await revive()
      try {
        if (version !== null) await publish(server, id, text(id, version))
        else if ((await request(server, 'DELETE', `/v1/documents/${encodeURIComponent(id)}`)).status !== 202)
          return false
        return true
      } catch {
        return false
      }
    })
  }
  await eventually('everything settles', async () => {
    if (server.process.exitCode !== null || server.process.signalCode !== null) server = await revive()
    try {
      const { body } = await request<{ documents: Record<string, number>; lag: Record<string, number> }>(
        server,
        'GET',
        '/v1/status',
      )
      return body.documents['queued'] === 0 && body.lag['connector'] === 0 && body.lag['embedder'] === 0
    } catch {
      return false
    }
  })
  return { server, deaths }
}

interface State {
  points: string[]
  visible: string[]
}

/** Everything that a query could see, without versions: those differ from run to run, and texts say which version it is. */
async function readState(dataDir: string): Promise<State> {
  const admin = await openLanceDb({ path: join(dataDir, 'vectors') })
  const [collection] = await admin.list()
  const index = await admin.open(collection!)
  const file = readdirSync(dataDir).find((name) => /^registry-.*\.db$/.test(name))!
  const database = openDatabase({ path: join(dataDir, file), schema: registrySchema, survives: 'kill' })
  const registry = createSqliteRegistry(database)
  const records = await registry.lookUp('default', IDS)
  const points: string[] = []
  for (const id of IDS) {
    const visible = records.get(id)?.visible
    for (const point of await index.fetch({ tenant: 'default', documentId: id }, 1000)) {
      const place = point.version === visible?.version && point.build === visible.build ? 'visible' : 'orphan'
      const vector = createHash('sha256')
        .update(new Uint8Array(point.vector.buffer.slice(0)))
        .digest('hex')
        .slice(0, 8)
      points.push([place, id, point.index, point.start, point.end, point.text, vector].join('|'))
    }
  }
  const visible = IDS.map(
    (id) => `${id}: ${records.get(id)?.visible?.chunks ?? 'nothing'} ${records.get(id)?.latest?.state}`,
  )
  await database.close()
  await admin.close()
  return { points: points.sort(), visible }
}

async function runOnce(env: Record<string, string>): Promise<{ state: State; deaths: number }> {
  const dataDir = await newDataDir()
  try {
    const { server, deaths } = await produce(dataDir, env)
    await server.kill('SIGTERM')
    return { state: await readState(dataDir), deaths }
  } finally {
    await removeDataDir(dataDir)
  }
}

describe('kill -9', () => {
  let clean: State
  beforeAll(async () => {
    clean = (await runOnce({})).state
  })

  test('a clean run shows every document in its last state, and nothing else', () => {
    expect(clean.visible).toEqual(
      [
        'alpha: 6 indexed',
        'beta/with/slashes: 6 indexed',
        'gämma 😀: 6 indexed',
        'delta: nothing deleted',
        'epsilon: 6 indexed',
      ].map((line) => expect.stringMatching(line.replace(/\d/, '\\d+'))),
    )
    expect(clean.points.filter((point) => point.startsWith('orphan'))).toEqual([])
  })

  for (const write of WRITES) {
    test(`after ${write}: the index equals a clean run's`, async () => {
      const { state, deaths } = await runOnce({ KILL_AFTER: `${write}:2` })
      expect(deaths).toBe(1)
      expect(state).toEqual(clean)
    })
  }

  const random = seeded(SEED)
  for (let moment = 1; moment <= MOMENTS; moment++) {
    const afterMs = Math.floor(random() * WINDOW_MS)
    test(`${afterMs} ms into the run (seed ${SEED}, moment ${moment}): the index equals a clean run's`, async () => {
      expect((await runOnce({ KILL_AFTER_MS: String(afterMs) })).state).toEqual(clean)
    })
  }
})
