import { describe, expect, test } from 'vitest'
import { readQdrantUrl } from './qdrant-settings.ts'

describe('the URL of Qdrant', () => {
  test('qdrant url: what is left out has its default', () => {
    expect(readQdrantUrl('qdrant://db')).toEqual({
      https: false,
      host: 'db',
      port: 6333,
      prefix: '',
      apiKey: null,
      namespace: 'aquifer',
      timeoutMs: 30_000,
      quantization: 'none',
      onDisk: false,
      shards: 1,
      replicationFactor: 1,
      writeConsistencyFactor: 1,
    })
  })

  test('qdrant url: every option is read, and all replicas confirm a write unless told otherwise', () => {
    const options = 'quantization=int8&onDisk=true&replicationFactor=3&shards=6&namespace=a.b&timeoutMs=5000'
    expect(readQdrantUrl(`qdrant+https://k%2Fy@[::1]:7000/q/?${options}`)).toEqual({
      https: true,
      host: '[::1]',
      port: 7000,
      prefix: '/q',
      apiKey: 'k/y',
      namespace: 'a.b',
      timeoutMs: 5000,
      quantization: 'int8',
      onDisk: true,
      shards: 6,
      replicationFactor: 3,
      writeConsistencyFactor: 3,
    })
    expect(readQdrantUrl('qdrant://:key@db').apiKey).toBe('key')
  })

  test.each([
    ['http://db', /begins with qdrant:/],
    ['nothing', /is none/],
    ['qdrant:', /names no host/],
    ['qdrant://db?quantization=int4', /quantization=int4 .* none, int8, binary/],
    ['qdrant://db?onDisk=yes', /onDisk=yes .* false, true/],
    ['qdrant://db?shards=0', /shards=0 .* integer from 1 to 1024/],
    ['qdrant://db?timeoutMs=1e3', /timeoutMs=1e3 .* integer/],
    ['qdrant://db?writeConsistencyFactor=2', /writeConsistencyFactor=2 .* from 1 to 1/],
    ['qdrant://db?namespace=a-b', /namespace=a-b/],
    ['qdrant://db?replicas=2', /no option replicas/],
  ])('qdrant url: %s is refused with what is allowed', (url, message) => {
    expect(() => readQdrantUrl(url)).toThrow(message)
    expect(() => readQdrantUrl(url)).toThrow(expect.objectContaining({ code: 'invalid_config' }))
  })
})
