import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freePort } from '@aquifer/infra/free-port'
import { startKafka } from '@aquifer/infra/kafka'
import { kafkaJars } from '@aquifer/infra/kafka-jars'
import { startTestPart } from '@aquifer/infra/test-part'
import { scriptedServer, streamAnswer } from '@aquifer/models/scripted-server'
import type { ScriptedServer } from '@aquifer/models/scripted-server'
import { blocksOf, missingLine, openShell, readPage } from './harness/page.ts'
import type { Shell } from './harness/page.ts'
import { newDataDir, removeDataDir } from './harness/server.ts'

const PAGES = ['guide.md', 'quickstart-producer.md', 'quickstart-asker.md', 'quickstart-analyst.md']

const kafka = await startTestPart('kafka', startKafka)
afterAll(async () => {
  if ('part' in kafka) await kafka.stop()
})

test('what a page shows: lines come in order, … stands for anything', () => {
  expect(missingLine('a … c\nd', 'x a b\nc\nd')).toBe(null)
  expect(missingLine('a\nb', 'b\na')).toBe('b')
})

describe.each(PAGES)('%s', (name) => {
  let dir: string
  let shell: Shell
  let model: ScriptedServer
  beforeAll(async () => {
    dir = await newDataDir()
    const port = await freePort()
    model = await scriptedServer(streamAnswer(['Henry Darcy published it in 1856 ', '[1].']))
    shell = openShell({
      dir,
      port,
      addresses: {
        '127.0.0.1:8080': `127.0.0.1:${port}`,
        'http://127.0.0.1:11434/v1': model.baseUrl,
        ...('part' in kafka && { 'localhost:9092': kafka.part.bootstrap }),
      },
      env: 'part' in kafka ? { KAFKA_LIBS: await kafkaJars() } : {},
    })
  })
  afterAll(async () => {
    await shell.close()
    await model.close()
    await removeDataDir(dir)
  })

  // One block after the other, since each goes on from those before.
  test.for(blocksOf(readPage(name)))(
    'line $line runs and prints what the page shows',
    async (block, { skip }) => {
      if (block.marks.includes('kafka') && 'missing' in kafka) skip(kafka.missing)
      const output = await shell.run(block)
      if (block.prints !== null) expect([missingLine(block.prints, output), output]).toEqual([null, output])
    },
  )
})
