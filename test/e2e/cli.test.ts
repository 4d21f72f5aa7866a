import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { freePort } from '@aquifer/infra/free-port'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually, newDataDir, removeDataDir, request, startServer } from './harness/server.ts'
import type { Server } from './harness/server.ts'

const MAIN = fileURLToPath(new URL('../../packages/cli/src/main.ts', import.meta.url))

async function aquifer(
  args: string[],
  env: Record<string, string> = {},
  input = '',
): Promise<{ code: number; out: string; err: string }> {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { ...process.env, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  child.stdin.end(input)
  let out = ''
  let err = ''
  child.stdout.on('data', (data: Buffer) => (out += data.toString()))
  child.stderr.on('data', (data: Buffer) => (err += data.toString()))
  const [code] = (await once(child, 'close')) as [number]
  return { code, out, err }
}

/** The same on a terminal, where both outputs are one; `type` is told what stands there, and types. */
async function onTerminal(
  args: string[],
  type: (shown: string, keys: (typed: string) => void) => void = () => {},
): Promise<{ code: number; shown: string }> {
  const quoted = [process.execPath, MAIN, ...args].map((arg) => `'${arg.replaceAll("'", `'\\''`)}'`)
  const child = spawn('script', ['-qefc', `stty cols 100; ${quoted.join(' ')}`, '/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  let shown = ''
  child.stdout.on('data', (data: Buffer) => {
    shown += data.toString()
    type(shown, (typed) => child.stdin.write(typed))
  })
  const [code] = (await once(child, 'close')) as [number]
  return { code, shown }
}

describe('aquifer', () => {
  let dataDir: string
  let server: Server
  let keys: string
  const client = (key?: string) => ['--url', server.url, ...(key ? ['--key', key] : [])]
  beforeAll(async () => {
    dataDir = await newDataDir()
    keys = join(dataDir, 'keys.jsonl')
    writeFileSync(keys, '')
    server = await startServer(dataDir, { AQUIFER_EMBEDDER: 'lexical:', AQUIFER_API_KEYS: keys })
  })
  afterAll(async () => {
    await server.kill('SIGTERM')
    await removeDataDir(dataDir)
  })

  test('keys, publish, status, ask: each with exit code 0, and JSON where asked', async () => {
    const env = { AQUIFER_API_KEYS: keys }
    const added = await aquifer(['keys', 'add', '--tenant', 'acme', '--groups', 'staff', '--json'], env)
    const { key, sha256 } = JSON.parse(added.out) as { key: string; sha256: string }
    expect(added.code).toBe(0)
    expect((await aquifer(['keys', 'list'], env)).out).toContain(`${sha256.slice(0, 12)}  acme  groups=staff`)

    const folder = join(dataDir, 'to-publish', 'deep')
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'bilby.md'), '# Bilby\n\nThe bilby digs a spiral burrow.\n')
    writeFileSync(join(dataDir, 'to-publish', 'note.txt'), 'Its ears are long.')
    const published = await aquifer(['publish', join(dataDir, 'to-publish'), '--json', ...client(key)])
    const ids = published.out
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { id: string }).id)
    expect([published.code, ids.sort()]).toEqual([0, ['deep/bilby.md', 'note.txt']])
    const stands = async (): Promise<{ documents: Record<string, number> }> =>
      JSON.parse((await aquifer(['status', '--json', ...client(key)])).out)
    await eventually('both are indexed', async () => (await stands()).documents['indexed'] === 2)
    expect((await aquifer(['status', 'deep/bilby.md', ...client(key)])).out).toMatch(/^state +indexed$/m)

    const asked = await aquifer(['ask', 'What does the bilby dig?', ...client(key)])
    expect(asked.code).toBe(0)
    expect(asked.out).toContain('[1] deep/bilby.md (Bilby): “The bilby digs a spiral burrow.”')

    expect((await aquifer(['keys', 'revoke', sha256.slice(0, 12)], env)).code).toBe(0)
    expect(
      (await request(server, 'GET', '/v1/status', { headers: { Authorization: `Bearer ${key}` } })).status,
    ).toBe(401)
    const refused = await aquifer(['ask', 'anything', ...client(key)])
    expect([refused.code, refused.err]).toEqual([1, expect.stringMatching(/valid API key.*AQUIFER_API_KEY/)])
  })

  test('wrong usage is 2, a server that is not there 1 with what to do, help 0', async () => {
    expect((await aquifer(['ask'])).code).toBe(2)
    expect((await aquifer(['nonsense'])).code).toBe(2)
    expect(await aquifer(['status', '--url', `http://127.0.0.1:${await freePort()}`])).toMatchObject({
      code: 1,
      err: expect.stringContaining('pnpm@12 start'),
    })
    const missing = join(dataDir, 'missing.md')
    expect(await aquifer(['publish', missing])).toMatchObject({
      code: 2,
      err: expect.stringContaining(missing),
    })
    expect(await aquifer(['publish', '-'])).toMatchObject({ code: 2, err: expect.stringContaining('--id') })
    expect((await aquifer(['status', '--url', 'nonsense'])).code).toBe(2)
    expect((await aquifer(['eval', 'score'])).code).toBe(2)
  })

  test('every command and subcommand says how it is used, with an example', async () => {
    const commandsOf = (help: string): string[] =>
      [...(help.split('\nCommands:\n')[1]?.split('\n\n')[0] ?? '').matchAll(/^  (\w+)/gm)]
        .map(([, name]) => name!)
        .filter((name) => name !== 'help')
    const seen: string[] = []
    const visit = async (path: string[]): Promise<void> => {
      const { code, out } = await aquifer([...path, '--help'])
      expect([path, code, out]).toEqual([path, 0, expect.stringMatching(/Usage: aquifer[^]*Examples?:\n  /)])
      seen.push(path.join(' '))
      await Promise.all(commandsOf(out).map((name) => visit([...path, name])))
    }
    await visit([])
    expect(seen).toEqual(
      expect.arrayContaining(['publish', 'dlq replay', 'eval score', 'keys revoke', 'completion']),
    )
  })

  test('a wrong setting stops the start with its name, its value and what is allowed', async () => {
    const started = await aquifer(['start'], {
      AQUIFER_PORT: 'abc',
      AQUIFER_DATA_DIR: join(dataDir, 'other'),
    })
    expect([started.code, started.err]).toEqual([1, expect.stringMatching(/AQUIFER_PORT="abc"/)])
    expect(await aquifer(['start', 'embedder'])).toMatchObject({
      code: 1,
      err: expect.stringContaining('one owner process'),
    })
  })
})

describe('aquifer, to whom a server on loopback needs no key', () => {
  let dataDir: string
  let server: Server
  let client: string[]
  const file = (name: string, text: string): string => {
    writeFileSync(join(dataDir, name), text)
    return join(dataDir, name)
  }
  beforeAll(async () => {
    dataDir = await newDataDir()
    server = await startServer(dataDir, {
      AQUIFER_EMBEDDER: 'lexical:',
      AQUIFER_MAX_DOCUMENT_BYTES: '1000000',
    })
    client = ['--url', server.url]
  })
  afterAll(async () => {
    await server.kill('SIGTERM')
    await removeDataDir(dataDir)
  })

  test('publish: stdin with an id, metadata and a list; searchable when it ends; a receipt asks after it', async () => {
    const args = ['publish', '-', '--id', 'a/b ü', '--title', 'Numbat', '--metadata', 'year=2026']
    const published = await aquifer(
      [...args, '--metadata', 'where=west', '--access', 'staff', '--wait', '--json', ...client],
      {},
      'The numbat eats termites.',
    )
    const { id, receipt, state } = JSON.parse(published.out) as Record<string, string>
    expect([published.code, id, state]).toEqual([0, 'a/b ü', 'indexed'])
    const found = await request<{ hits: { title: string }[] }>(server, 'POST', '/v1/search', {
      body: { query: 'numbat', filter: { field: 'year', op: 'eq', value: 2026 } },
    })
    expect(found.body.hits).toMatchObject([{ documentId: 'a/b ü', title: 'Numbat' }])
    expect((await aquifer(['status', 'a/b ü', ...client])).out).toMatch(/access +staff/)
    const asked = await aquifer([
      'ask',
      'What does the numbat eat?',
      '--after',
      receipt!,
      '--json',
      ...client,
    ])
    expect(JSON.parse(asked.out)).toMatchObject({
      aquifer: { fresh: true, citations: [{ title: 'Numbat' }] },
    })
  })

  test('status: the language of a document, and what is nearly the same', async () => {
    const text = 'The quoll hunts at night and sleeps in a hollow log. '.repeat(9)
    for (const id of ['quoll', 'quoll-copy']) {
      const published = await aquifer(['publish', '-', '--id', id, '--wait', '--json', ...client], {}, text)
      expect(published.code).toBe(0)
    }
    const { out } = await aquifer(['status', 'quoll', ...client])
    expect(out).toMatch(/language +en\n[^]*similar +nearly the same as quoll-copy\n/)
  })

  test('publish: what fails is said with why, and stops no other; so is what could not be told apart', async () => {
    const [good, broken, large] = [
      file('good.md', 'A fine note.'),
      file('broken.pdf', '%PDF-1.7 and nothing more'),
      file('large.txt', 'x'.repeat(1_500_000)),
    ]
    const published = await aquifer(['publish', good, broken, large, '--wait', ...client])
    expect(published.code).toBe(1)
    expect(published.out).toContain('indexed good.md')
    expect(published.out).toMatch(/^failed {2}broken\.pdf: .*\(failed, \w+\)$/m)
    expect(published.out).toMatch(/^failed {2}large\.txt: .*AQUIFER_MAX_DOCUMENT_BYTES$/m)
    expect(published.err).toBe('1 published, 2 failed\n')
    mkdirSync(join(dataDir, 'other'), { recursive: true })
    const twice = await aquifer(['publish', good, file('other/good.md', 'Another.'), ...client])
    expect([twice.code, twice.err]).toEqual([2, expect.stringContaining('--prefix')])
  })

  test('publish: a folder without what is hidden, each document below its prefix', async () => {
    for (const folder of ['tree/.git', 'tree/node_modules', 'tree/deep'])
      mkdirSync(join(dataDir, folder), { recursive: true })
    for (const name of ['tree/.git/x.md', 'tree/node_modules/x.md', 'tree/deep/x.md', 'tree/x.md'])
      file(name, name)
    const { out } = await aquifer(['publish', join(dataDir, 'tree'), '--prefix', 'p/', '--json', ...client])
    const ids = out
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { id: string }).id)
    expect(ids.sort()).toEqual(['p/deep/x.md', 'p/x.md'])
  })

  test('ask: says where each quote stands, and nothing of a document steers the terminal', async () => {
    const text = '# Gauge\n\n## Alarm\n\nThe gauge\u001b[2J\u202e rings at nine metres.\n'
    await aquifer(['publish', '-', '--id', 'gauge\u001b[31m.md', '--wait', ...client], {}, text)
    const { code, out } = await aquifer(['ask', 'When does the gauge ring?', ...client])
    expect([code, out]).toEqual([
      0,
      expect.stringMatching(/\[1\] gauge.*\.md \(Gauge\), Alarm: “The gauge.*metres\.”/),
    ])
    // oxlint-disable-next-line no-control-regex -- what must not be there
    expect(out).not.toMatch(/[\u001b\u202e]/)
  })

  test('ask --conversation: one question a line, all of one conversation; one that fails ends no other', async () => {
    await aquifer(['publish', file('well.md', 'The well is forty metres deep.'), '--wait', ...client])
    const tooLong = 'x'.repeat(9000)
    const { code, out, err } = await aquifer(
      ['ask', '-c', '--json', ...client],
      {},
      `How deep is the well?\n${tooLong}\n\nHow deep?\n`,
    )
    const answers = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { aquifer: { conversationId: string } })
    expect([code, answers.length, err]).toEqual([1, 2, expect.stringContaining('8192')])
    expect(answers[1]!.aquifer.conversationId).toBe(answers[0]!.aquifer.conversationId)
  })

  test('eval score: a table with means and the grounded share; a line at fault fails alone; a share can be demanded', async () => {
    const contexts = ['The numbat eats termites.']
    const answers = file(
      'answers.jsonl',
      [
        JSON.stringify({ answer: 'The numbat eats termites.', contexts, reference: 'It eats termites.' }),
        JSON.stringify({ answer: 'The moon is made of green cheese.', contexts }),
        '{nonsense',
      ].join('\n'),
    )
    const shown = await aquifer(['eval', 'score', answers, ...client])
    expect(shown.code).toBe(1)
    expect(shown.out).toMatch(/^1 +yes +\d\.\d\d .*numbat/m)
    expect(shown.out).toMatch(/^2 +no +0\.\d\d /m)
    expect(shown.out).toMatch(/^3 +failed /m)
    expect(shown.out).toContain('grounded 1 of 2 (50 %)')
    const one = [
      'eval',
      'score',
      '--answer',
      'The numbat eats termites.',
      '--context',
      contexts[0]!,
      ...client,
    ]
    const json = await aquifer([...one, '--json', '--min-grounded', '1'])
    expect(json.code).toBe(0)
    expect(JSON.parse(json.out.trim().split('\n').at(-1)!)).toMatchObject({ summary: { groundedShare: 1 } })
    const wrong = ['eval', 'score', '--answer', 'The moon is green.', '--context', contexts[0]!, ...client]
    expect((await aquifer([...wrong, '--min-grounded', '0.5'])).code).toBe(1)
  })

  test('a terminal sees a bar with rate and time left, which goes; a pipe sees none', async () => {
    const paths = ['one', 'two', 'three'].map((name) => file(`${name}.md`, name))
    const { code, shown } = await onTerminal(['publish', ...paths, '--wait', ...client])
    expect(code).toBe(0)
    expect(shown).toMatch(/publishing [█░]{24} 0\/3 {2}0 %/)
    expect(shown).toMatch(/█{24} 3\/3 {2}100 % {2}[\d.]+\/s {2}0:00 left/)
    expect(shown.slice(shown.lastIndexOf('left'))).toContain('\r\u001b[K3 published')
    const piped = await aquifer(['publish', ...paths, ...client])
    expect(piped.err).toBe('3 published\n')
  })

  test('Ctrl-C: a bar goes with it; a conversation is left, and the line is a new one', async () => {
    let pressed = false
    const paths = Array.from({ length: 300 }, (_, i) => file(`n${i}.md`, `Note ${i}.`))
    const bar = await onTerminal(['publish', ...paths, '--wait', ...client], (shown, keys) => {
      if (pressed || !shown.includes('/s ')) return
      pressed = true
      keys('\u0003')
    })
    expect([bar.code, bar.shown.endsWith('\r\u001b[K')]).toEqual([130, true])
    let typed = 0
    const talk = await onTerminal(['ask', '-c', ...client], (shown, keys) => {
      if (typed === 0 && shown.includes('› ')) {
        typed = 1
        keys('How deep is the well?\r')
      } else if (typed === 1 && /groundedness[^]*› /.test(shown)) {
        typed = 2
        keys('\u0003')
      }
    })
    expect([talk.code, talk.shown]).toEqual([0, expect.stringMatching(/groundedness[^]*\n$/)])
  })

  test('completion: each shell completes commands and options by its script', async () => {
    const sh = async (shell: string, script: string): Promise<string> => {
      const { out } = await aquifer(['completion', shell])
      const path = file(`completion.${shell}`, out)
      const child = spawn(shell, [...(shell === 'zsh' ? ['-f'] : []), '-c', script.replace('SCRIPT', path)])
      return await text(child.stdout)
    }
    const typed = 'source SCRIPT; COMP_WORDS=(aquifer dlq re); COMP_CWORD=2; _aquifer; echo "${COMPREPLY[@]}"'
    expect(await sh('bash', typed)).toBe('replay\n')
    if (existsSync('/usr/bin/fish'))
      expect(await sh('fish', 'source SCRIPT; complete -C "aquifer dlq re"')).toContain('replay')
    const zsh =
      'compdef() { :; }; _files() { :; }; compadd() { print -- $@ }; source SCRIPT; words=(aquifer dlq list ""); CURRENT=4; _aquifer'
    if (existsSync('/usr/bin/zsh')) expect(await sh('zsh', zsh)).toContain('--since')
  })
})
