import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { isLoopback, isShared, readConfig } from './config.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'aquifer-config-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

function messageOf(env: Record<string, string>): string {
  try {
    readConfig(env, dir)
  } catch (error) {
    expect(error).toMatchObject({ code: 'invalid_config' })
    return (error as Error).message
  }
  throw new Error('it was taken')
}

describe('config', () => {
  test('has a default for everything; an empty variable is none', () => {
    expect(readConfig({ AQUIFER_PORT: '' }, dir)).toMatchObject({
      dataDir: '.aquifer',
      host: '127.0.0.1',
      port: 8080,
      eventLog: 'sqlite:',
      embedder: 'onnx:all-MiniLM-L6-v2',
      generator: 'extractive:',
      sampleRate: 1,
      redactSampled: true,
      uriHosts: [],
      watch: [],
    })
  })

  test('the variable wins over the file; names become lists, text becomes numbers and switches', () => {
    writeFileSync(join(dir, 'aquifer.config.yaml'), 'port: 9000\nhost: localhost\nuriHosts: [a.example]\n')
    const env = { AQUIFER_PORT: '9001', AQUIFER_REDACT_SAMPLED: 'false', AQUIFER_SAMPLE_RATE: '0.25' }
    expect(readConfig(env, dir)).toMatchObject({
      port: 9001,
      host: 'localhost',
      redactSampled: false,
      sampleRate: 0.25,
      uriHosts: ['a.example'],
    })
    expect(readConfig({ AQUIFER_WATCH: '/a, docs=/b' }, dir).watch).toEqual(['/a', 'docs=/b'])
    expect(readConfig({ AQUIFER_URI_HOSTS: 'a.example, b.example,' }, dir).uriHosts).toEqual([
      'a.example',
      'b.example',
    ])
  })

  test.each([
    ['AQUIFER_PORT', '70000', '65535'],
    ['AQUIFER_PORT', 'http', 'number'],
    ['AQUIFER_PORT', '1.5', 'int'],
    ['AQUIFER_EVENT_LOG', 'kafka:9092', 'kafka://'],
    ['AQUIFER_EVENT_LOG', 'sqlite:/elsewhere.db', 'sqlite:'],
    ['AQUIFER_VECTOR_INDEX', 'http://x:6333', 'qdrant://'],
    ['AQUIFER_STATE', 'memcached://x', 'redis://'],
    ['AQUIFER_BLOBS', 'file:/elsewhere', 's3://'],
    ['AQUIFER_SCHEMA_REGISTRY', 'registry:8081', 'https://'],
    ['AQUIFER_EMBEDDER', 'magic:', 'onnx:'],
    ['AQUIFER_GENERATOR', 'magic:', 'extractive:'],
    ['AQUIFER_SAMPLE_RATE', '2', '1'],
    ['AQUIFER_SAMPLE_RATE', '-0.1', '0'],
    ['AQUIFER_LOG_LEVEL', 'loud', 'warn'],
    ['AQUIFER_PARTITIONS', '0', '1'],
    ['AQUIFER_MAX_DOCUMENT_BYTES', '0', '1'],
    ['AQUIFER_PARSE_TIMEOUT_MS', '5', '100'],
    ['AQUIFER_GUARD_INJECTION', 'shout', 'quarantine'],
    ['AQUIFER_REDACT_SAMPLED', 'perhaps', ''],
  ])('%s=%s is refused, naming the variable, the value and what is allowed', (variable, value, allowed) => {
    const message = messageOf({ [variable]: value })
    expect(message).toContain(`${variable}=${JSON.stringify(value)}`)
    expect(message.slice(message.indexOf(value) + value.length)).toContain(allowed)
  })

  test('several wrong values are told together; a name in the file that is none too', () => {
    const message = messageOf({ AQUIFER_PORT: 'x', AQUIFER_SAMPLE_RATE: 'y' })
    expect(message).toContain('AQUIFER_PORT')
    expect(message).toContain('AQUIFER_SAMPLE_RATE')
    writeFileSync(join(dir, 'aquifer.config.yaml'), 'prot: 9000\n')
    expect(messageOf({})).toContain('prot')
  })

  test('a password in a URL is not told', () => {
    const message = messageOf({
      AQUIFER_STATE: 'rediss:user:secret@x',
      AQUIFER_EVENT_LOG: 'mqtt://u:secret@x',
    })
    expect(message).toContain('mqtt://***@x')
    expect(message).not.toContain('secret')
  })

  test('on Kafka a tenth of the answers is evaluated unless told; services run apart where no store is embedded', () => {
    const env = { AQUIFER_EVENT_LOG: 'kafka://b:9092', AQUIFER_VECTOR_INDEX: 'qdrant://q:6333' }
    expect(readConfig(env, dir).sampleRate).toBe(0.1)
    expect(readConfig({ ...env, AQUIFER_SAMPLE_RATE: '1' }, dir).sampleRate).toBe(1)
    expect(isShared(readConfig(env, dir))).toBe(false)
    expect(isShared(readConfig({ ...env, AQUIFER_STATE: 'redis://r' }, dir))).toBe(true)
  })

  test('an address that others reach needs keys', () => {
    expect(messageOf({ AQUIFER_HOST: '0.0.0.0' })).toContain('AQUIFER_API_KEYS')
    expect(readConfig({ AQUIFER_HOST: '0.0.0.0', AQUIFER_API_KEYS: 'keys.jsonl' }, dir).host).toBe('0.0.0.0')
  })

  test('loopback is what only this machine reaches', () => {
    for (const host of ['localhost', '127.0.0.1', '127.255.0.3', '::1', '[::1]'])
      expect(isLoopback(host)).toBe(true)
    for (const host of [
      '0.0.0.0',
      '127.0.0.1.evil.example',
      'localhost.evil.example',
      '10.0.0.1',
      '',
      '[::]',
      '1270.0.0.1',
    ])
      expect(isLoopback(host)).toBe(false)
  })
})
