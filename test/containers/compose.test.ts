import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freePort } from '@aquifer/infra/free-port'
import { eventually, publish, request, search } from '@aquifer/test/server'
import { ROOT, baseImage, build, docker } from './docker.ts'

/**
 * infra/compose.yaml as it is, every service in containers of its own. Where public images cannot be pulled, KAFKA_IMAGE,
 * REDIS_IMAGE and QDRANT_IMAGE may name others; what is not named is built here, of Qdrant its stand-in.
 */
const SERVICES = ['connector', 'embedder', 'query', 'evaluator'] as const
const UP_TIMEOUT_MS = 15 * 60_000
const INDEX_TIMEOUT_MS = 60_000

const given = await baseImage()

describe.skipIf('missing' in given)(`compose${'missing' in given ? ` (${given.missing})` : ''}`, () => {
  const project = `aquifer-test-${randomUUID().slice(0, 8)}`
  let env: NodeJS.ProcessEnv = {}
  let server: { url: string }
  let headers: Record<string, string>

  const compose = (...args: string[]) =>
    docker(['compose', '--project-name', project, '--file', `${ROOT}infra/compose.yaml`, ...args], env)
  const containers = async (service: string): Promise<string[]> =>
    (await compose('ps', '--quiet', service)).split('\n').filter(Boolean)
  const inspect = (container: string, format: string) => docker(['inspect', '--format', format, container])

  beforeAll(async () => {
    const base = 'base' in given ? given.base : ''
    const port = await freePort()
    env = {
      KAFKA_IMAGE: process.env['KAFKA_IMAGE'] ?? (await build('kafka', base)),
      REDIS_IMAGE: process.env['REDIS_IMAGE'] ?? (await build('redis', base)),
      QDRANT_IMAGE:
        process.env['QDRANT_IMAGE'] ?? (await build('qdrant-shim', base, 'infra/native/qdrant-shim')),
      AQUIFER_IMAGE: 'aquifer-test',
      // The makeshift embedder needs no download, and is the same in every replica.
      AQUIFER_EMBEDDER: process.env['AQUIFER_EMBEDDER'] ?? 'lexical:',
      AQUIFER_SAMPLE_RATE: '1',
      AQUIFER_PUBLISH: `127.0.0.1:${port}`,
    }
    await compose('up', '--build', '--detach', '--wait', '--wait-timeout', String(UP_TIMEOUT_MS / 1000))
    server = { url: `http://127.0.0.1:${port}` }
    headers = {
      authorization: `Bearer ${await compose('run', '--rm', '--no-TTY', 'keys', 'add', '--tenant', 'acme')}`,
    }
  }, UP_TIMEOUT_MS)

  afterAll(async () => {
    await compose('down', '--volumes', '--timeout', '20')
  })

  /** Publishes and waits until a search sees it. */
  async function indexed(id: string, text: string): Promise<void> {
    const after = await publish(server, id, text, headers)
    const { fresh, hits } = await search(server, text.slice(0, 200), { after, timeoutMs: 30_000 }, headers)
    expect({ fresh, first: hits[0]?.documentId }).toEqual({ fresh: true, first: id })
  }

  test('compose: without a key the door answers 401, and no other port is open', async () => {
    expect(await request(server, 'GET', '/v1/status')).toMatchObject({ status: 401 })
    for (const service of [...SERVICES, 'kafka', 'redis', 'qdrant'] as const) {
      const [container] = await containers(service)
      const ports = await inspect(container!, '{{json .HostConfig.PortBindings}}')
      expect([service, ports === '{}' || ports === 'null']).toEqual([service, service !== 'query'])
    }
  })

  test('compose: the door serves the chat page, made when the image was', async () => {
    const html = { accept: 'text/html' }
    const page = await request<string>(server, 'GET', '/', { headers: html })
    expect(page.status).toBe(200)
    const [script] = /\/assets\/[\w-]+\.js/.exec(page.body) ?? ['no script']
    expect(await request(server, 'GET', script)).toMatchObject({ status: 200 })
  })

  test('compose: every service runs as nobody in particular, on a file system that it cannot write', async () => {
    for (const service of SERVICES) {
      const [container] = await containers(service)
      expect(await inspect(container!, '{{.HostConfig.ReadonlyRootfs}} {{.State.Health.Status}}')).toBe(
        'true healthy',
      )
      expect(await docker(['exec', container!, 'id', '--user'])).toBe('10001')
      await expect(docker(['exec', container!, 'touch', '/aquifer/x'])).rejects.toThrow(
        'Read-only file system',
      )
      expect(await docker(['exec', container!, 'grep', 'CapEff', '/proc/1/status'])).toMatch(/\t0{16}$/)
    }
  })

  test('compose: a document goes from the door through all of them to an evaluated answer', async () => {
    await indexed('tides', 'The gate at Norrhavn closes when the tide stands 2.4 metres above the mark.')
    // Over 512 KiB the content lies in the volume that the services share.
    await indexed(
      'large',
      `Marigold seeds were counted at the third lock.\n\n${'One more line of the log book. '.repeat(20_000)}`,
    )
    const { body } = await request<{ aquifer: { answerId: string; citations: { documentId: string }[] } }>(
      server,
      'POST',
      '/v1/chat/completions',
      { headers, body: { messages: [{ role: 'user', content: 'When does the gate at Norrhavn close?' }] } },
    )
    expect(body.aquifer.citations.map(({ documentId }) => documentId)).toContain('tides')
    await eventually(
      'an evaluation',
      async () =>
        (await request(server, 'GET', `/v1/answers/${body.aquifer.answerId}`, { headers })).body[
          'evaluation'
        ],
      INDEX_TIMEOUT_MS,
    )
  })

  test('compose: replicas share the work; one that is told to stop ends in order and the others go on', async () => {
    await compose(
      'up',
      '--detach',
      '--wait',
      '--no-recreate',
      '--scale',
      'embedder=2',
      '--scale',
      'connector=2',
    )
    const embedders = await containers('embedder')
    expect(embedders).toHaveLength(2)
    const published = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        publish(server, `doc-${n}`, `Buoy ${n} carries lamp number ${n * 7}.`, headers),
      ),
    )
    // SIGTERM in the middle of the work.
    await docker(['stop', '--time', '30', embedders[0]!])
    expect(await inspect(embedders[0]!, '{{.State.ExitCode}} {{.State.OOMKilled}}')).toBe('0 false')
    const { fresh } = await search(server, 'lamp', { after: published, timeoutMs: 30_000 }, headers)
    expect(fresh).toBe(true)
    await indexed('after', 'The harbour master of Norrhavn keeps a heron called Bertil.')
  })

  test('compose: a service that is told to stop while it starts ends at once', async () => {
    const [container] = await containers('evaluator')
    await docker(['restart', '--time', '30', container!])
    const beginMs = Date.now()
    await docker(['stop', '--time', '30', container!])
    expect(await inspect(container!, '{{.State.ExitCode}}')).toMatch(/^(?:0|143)$/)
    expect(Date.now() - beginMs).toBeLessThan(20_000)
    await docker(['start', container!])
    await compose('up', '--detach', '--wait', '--no-recreate')
  })

  test('compose: each service stops in order on SIGTERM', async () => {
    for (const service of SERVICES) {
      for (const container of await containers(service)) {
        await docker(['stop', '--time', '30', container])
        expect([service, await inspect(container, '{{.State.ExitCode}}')]).toEqual([service, '0'])
      }
    }
  })
})
