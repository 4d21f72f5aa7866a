import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { newDataDir, publish, removeDataDir, request, search, startServer } from './harness/server.ts'
import type { Server } from './harness/server.ts'

const ENV = { AQUIFER_EMBEDDER: 'lexical:' }

describe('with keys', () => {
  let server: Server
  let dataDir: string
  const keys = { acmeStaff: 'k1', acmeOther: 'k2', acmeAdmin: 'k3', acmeReader: 'k4', globex: 'k5' }
  const as = (key: keyof typeof keys): Record<string, string> => ({ Authorization: `Bearer ${keys[key]}` })
  beforeAll(async () => {
    dataDir = await newDataDir()
    const line = (key: string, tenant: string, groups: string[], roles: string[]) =>
      JSON.stringify({ sha256: createHash('sha256').update(key).digest('hex'), tenant, groups, roles })
    const file = join(dataDir, 'keys.jsonl')
    writeFileSync(
      file,
      [
        line('k1', 'acme', ['staff'], []),
        line('k2', 'acme', ['other'], []),
        line('k3', 'acme', [], ['admin']),
        line('k4', 'acme', ['staff'], ['reader']),
        line('k5', 'globex', ['staff'], []),
      ].join('\n'),
    )
    server = await startServer(dataDir, { ...ENV, AQUIFER_API_KEYS: file })
  })
  afterAll(async () => {
    await server.kill('SIGTERM')
    await removeDataDir(dataDir)
  })

  test('no key, a wrong key: 401; a reader writes nothing: 403', async () => {
    expect((await request(server, 'GET', '/v1/status')).status).toBe(401)
    expect(
      (await request(server, 'GET', '/v1/status', { headers: { Authorization: 'Bearer nope' } })).status,
    ).toBe(401)
    expect(
      (await request(server, 'PUT', '/v1/documents/x', { raw: 'x', headers: as('acmeReader') })).status,
    ).toBe(403)
    const chat = await request<{ error: { code: string } }>(server, 'POST', '/v1/chat/completions', {
      body: { messages: [] },
    })
    expect([chat.status, chat.body.error.code]).toEqual([401, 'unauthenticated'])
  })

  test('no tenant sees another’s documents, receipts, answers', async () => {
    const receipt = await publish(server, 'secret', 'the acme platypus plan', as('acmeStaff'))
    expect((await search(server, 'platypus plan', { after: receipt }, as('acmeStaff'))).hits).toHaveLength(1)
    expect((await search(server, 'platypus plan', {}, as('globex'))).hits).toEqual([])
    expect((await request(server, 'GET', '/v1/documents/secret', { headers: as('globex') })).status).toBe(404)
    const foreign = await request(server, 'POST', '/v1/search', {
      body: { query: 'x', after: receipt },
      headers: as('globex'),
    })
    expect([foreign.status, foreign.body['code']]).toEqual([403, 'foreign_receipt'])
  })

  test('an access list holds on every route that returns text', async () => {
    const receipt = await publish(server, 'restricted', 'the numbat memo says forty-two', {
      ...as('acmeStaff'),
      'Aquifer-Access': 'staff',
    })
    const admins = await publish(server, 'for-admins', 'the numbat budget', {
      ...as('acmeStaff'),
      'Aquifer-Access': '',
    })
    const ids = async (key: keyof typeof keys) =>
      (await search(server, 'numbat', { after: [receipt, admins], mode: 'lexical' }, as(key))).hits
        .map(({ documentId }) => documentId)
        .sort()
    expect(await ids('acmeStaff')).toEqual(['restricted'])
    expect(await ids('acmeOther')).toEqual([])
    expect(await ids('acmeAdmin')).toEqual(['for-admins', 'restricted'])
    for (const path of ['', '/text', '/source', '/events']) {
      expect(
        (await request(server, 'GET', `/v1/documents/restricted${path}`, { headers: as('acmeOther') }))
          .status,
      ).toBe(404)
    }
    const listed = await request<{ documents: { id: string }[] }>(server, 'GET', '/v1/documents', {
      headers: as('acmeOther'),
    })
    expect(listed.body.documents.map(({ id }) => id)).toEqual(['secret'])
    const ask = { messages: [{ role: 'user', content: 'What does the numbat memo say?' }] }
    const answer = await request<{
      choices: { message: { content: string } }[]
      aquifer: { answerId: string }
    }>(server, 'POST', '/v1/chat/completions', { body: ask, headers: as('acmeStaff') })
    const { answerId } = answer.body.aquifer
    expect(
      JSON.stringify(
        (await request(server, 'GET', `/v1/answers/${answerId}`, { headers: as('acmeStaff') })).body,
      ),
    ).toContain('numbat memo')
    expect(
      JSON.stringify(
        (
          await request<{ evidence: object[] }>(server, 'GET', `/v1/answers/${answerId}`, {
            headers: as('acmeOther'),
          })
        ).body.evidence,
      ),
    ).not.toContain('numbat')
    expect((await request(server, 'GET', `/v1/answers/${answerId}`, { headers: as('globex') })).status).toBe(
      404,
    )
  })

  test('a restricted document is not opened by forgetting its access list', async () => {
    await publish(server, 'guarded', 'first', { ...as('acmeStaff'), 'Aquifer-Access': 'staff' })
    const forgotten = await request(server, 'PUT', '/v1/documents/guarded', {
      raw: 'second',
      headers: { ...as('acmeStaff'), 'Content-Type': 'text/plain' },
    })
    expect([forgotten.status, forgotten.body['code']]).toEqual([409, 'access_required'])
    const opened = await request<{ receipt: string }>(server, 'POST', '/v1/documents', {
      body: { id: 'guarded', content: 'open kiwi', access: null },
      headers: as('acmeStaff'),
    })
    expect(
      (await search(server, 'kiwi', { after: opened.body.receipt, mode: 'lexical' }, as('acmeOther'))).hits,
    ).toHaveLength(1)
  })
})
