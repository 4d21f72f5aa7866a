import { expect, test } from 'vitest'
import { parseKafkaUrl } from './kafka-url.ts'

const plain = {
  brokers: ['kafka-1:9092'],
  clientId: 'aquifer',
  ssl: null,
  sasl: null,
  replicationFactor: null,
  minInsyncReplicas: null,
}

test.each([
  ['kafka://kafka-1', plain],
  ['kafka://kafka-1:9092/', plain],
  ['kafka://a:1,b.example:65535', { ...plain, brokers: ['a:1', 'b.example:65535'] }],
  [
    'kafka://a:1?clientId=x&replicationFactor=3&minInsyncReplicas=2',
    { ...plain, brokers: ['a:1'], clientId: 'x', replicationFactor: 3, minInsyncReplicas: 2 },
  ],
  [
    'kafka+ssl://me:p%40ss%3A%2F@a:1',
    { ...plain, brokers: ['a:1'], ssl: {}, sasl: { mechanism: 'plain', username: 'me', password: 'p@ss:/' } },
  ],
  [
    'kafka://me:secret@a:1?mechanism=scram-sha-512',
    {
      ...plain,
      brokers: ['a:1'],
      sasl: { mechanism: 'scram-sha-512', username: 'me', password: 'secret' },
    },
  ],
])('kafka url: %s is read', (url, address) => {
  expect(parseKafkaUrl(url)).toEqual(address)
})

test.each([
  ['http://a:1', 'kafka://host:port'],
  ['kafka://', 'no host:port'],
  ['kafka://a:1,,b:2', 'no host:port'],
  ['kafka://a:99999', '"a:99999"'],
  ['kafka://a:1?replication=3', 'replication is no option'],
  ['kafka://a:1?replicationFactor=0', 'replicationFactor "0"'],
  ['kafka://a:1?ca=/x.pem', 'without TLS'],
  ['kafka+ssl://a:1?ca=/nowhere/x.pem', '/nowhere/x.pem'],
  ['kafka+ssl://secret@a:1', 'user:password'],
  ['kafka+ssl://a:1?mechanism=plain', 'without user:password'],
  ['kafka+ssl://me:secret@a:1?mechanism=gssapi', 'gssapi'],
  ['kafka://me:secret@a:1', 'kafka+ssl://'],
  ['kafka+ssl://me:secret%@a:1', 'percent-encoded'],
])('kafka url: %s is refused, and the error says %s without the password', (url, said) => {
  const error = catchError(() => parseKafkaUrl(url))
  expect(error).toMatchObject({ code: 'invalid_url', retryable: false })
  expect((error as Error).message).toContain(said)
  expect((error as Error).message).not.toContain('secret')
})

function catchError(run: () => unknown): unknown {
  try {
    return run()
  } catch (error) {
    return error
  }
}
