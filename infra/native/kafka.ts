import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { freePort } from './free-port.ts'
import { needJava, startJava } from './java-part.ts'
import { KAFKA_VERSION, kafkaJars } from './kafka-jars.ts'
import type { Part, PartOptions } from './part.ts'

const run = promisify(execFile)
const CONNECT_TIMEOUT_MS = 2000
const TOOL_TIMEOUT_MS = 60_000
/** It starts fast and stays small; nobody measures its throughput. */
const JVM = ['-Xmx384m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xshare:auto']

/** One broker that is its own controller, and answers without the pauses that large clusters need. */
const PROPERTIES: Readonly<Record<string, string>> = {
  'process.roles': 'broker,controller',
  'node.id': '1',
  'controller.listener.names': 'CONTROLLER',
  'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,LOGIN:SASL_SSL',
  'inter.broker.listener.name': 'PLAINTEXT',
  'auto.create.topics.enable': 'false',
  'default.replication.factor': '1',
  'offsets.topic.replication.factor': '1',
  'offsets.topic.num.partitions': '4',
  'transaction.state.log.replication.factor': '1',
  'transaction.state.log.min.isr': '1',
  'transaction.state.log.num.partitions': '4',
  'share.coordinator.state.topic.replication.factor': '1',
  'share.coordinator.state.topic.min.isr': '1',
  'group.initial.rebalance.delay.ms': '0',
  'broker.heartbeat.interval.ms': '250',
  'broker.session.timeout.ms': '1500',
  'num.network.threads': '2',
  'num.io.threads': '4',
  'log.cleaner.dedupe.buffer.size': '16777216',
}

export interface KafkaOptions extends PartOptions {
  /** Of server.properties, over what is set here. */
  readonly properties?: Readonly<Record<string, string>>
  /** Adds a listener that takes TLS and this login alone, by PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512. */
  readonly login?: { readonly user: string; readonly password: string }
}

export interface KafkaPart extends Part {
  /** `host:port`. */
  readonly bootstrap: string
  /** Where the broker keeps its logs. */
  readonly dataDir: string
  /** The listener of `login`: its `host:port`, and the file of the certificate to trust (PEM). */
  readonly secure: { readonly bootstrap: string; readonly caFile: string } | null
}

/**
 * Apache Kafka in KRaft mode from Maven Central (JDK 17 or newer and Maven are needed; 54 MB once, then up in seconds).
 * The server dies with the process that started it. Throws `PartMissing`.
 */
export async function startKafka(options: KafkaOptions): Promise<KafkaPart> {
  needJava(17)
  const jars = await kafkaJars()
  const dir = resolve(options.dir)
  const dataDir = join(dir, 'data')
  await mkdir(dir, { recursive: true })
  const port = options.port || (await freePort())
  const controllerPort = await freePort()
  const secure = options.login
    ? { bootstrap: `127.0.0.1:${await freePort()}`, ...(await makeCertificate(dir)) }
    : null
  const listeners = [`PLAINTEXT://127.0.0.1:${port}`, `CONTROLLER://127.0.0.1:${controllerPort}`]
  if (secure) listeners.push(`LOGIN://${secure.bootstrap}`)
  const properties = {
    ...PROPERTIES,
    'log.dirs': dataDir,
    'controller.quorum.bootstrap.servers': `127.0.0.1:${controllerPort}`,
    listeners: listeners.join(','),
    ...(secure && options.login ? loginProperties(options.login, secure.keystore) : {}),
    ...options.properties,
  }
  const file = join(dir, 'server.properties')
  await writeFile(
    file,
    Object.entries(properties)
      .map(([name, value]) => `${name}=${escaped(value)}\n`)
      .join(''),
  )
  if (!existsSync(join(dataDir, 'meta.properties'))) await format(jars, file, options.login)
  const bootstrap = `127.0.0.1:${port}`
  const part = await startJava(
    {
      name: 'kafka',
      label: `Apache Kafka ${KAFKA_VERSION}`,
      variable: 'AQUIFER_EVENT_LOG',
      url: `kafka://${bootstrap}`,
    },
    { dir, args: [...javaArgs(jars), 'kafka.Kafka', file], isUp: async () => await accepts(port) },
  )
  return Object.assign(part, {
    bootstrap,
    dataDir,
    secure: secure && { bootstrap: secure.bootstrap, caFile: secure.caFile },
  })
}

/**
 * Runs one of Kafka's own command line tools to its end and returns what it printed, for instance
 * `org.apache.kafka.tools.ConsoleProducer`, which takes records on `input`, one a line. Throws `PartMissing`.
 */
export async function runKafkaTool(
  className: string,
  args: readonly string[],
  input: string | Buffer = '',
): Promise<string> {
  needJava(17)
  const running = run('java', [...javaArgs(await kafkaJars()), className, ...args], {
    timeout: TOOL_TIMEOUT_MS,
    maxBuffer: 16 * 1024 * 1024,
  })
  running.child.stdin?.end(input)
  return (await running).stdout
}

function javaArgs(jars: string): string[] {
  return [
    ...JVM,
    `-Dlog4j2.configurationFile=${join(jars, '..', 'log4j2.properties')}`,
    '-cp',
    join(jars, '*'),
  ]
}

async function format(jars: string, file: string, login: KafkaOptions['login']): Promise<void> {
  const users = login
    ? ['SCRAM-SHA-256', 'SCRAM-SHA-512'].flatMap((mechanism) => [
        '--add-scram',
        `${mechanism}=[name=${login.user},password=${login.password}]`,
      ])
    : []
  const id = Buffer.from(crypto.randomUUID().replaceAll('-', ''), 'hex').toString('base64url')
  await run(
    'java',
    [
      ...javaArgs(jars),
      'kafka.tools.StorageTool',
      'format',
      '--standalone',
      '-c',
      file,
      // One that begins with a dash would be taken for an option, were it a word of its own.
      `--cluster-id=${id}`,
      ...users,
    ],
    { timeout: TOOL_TIMEOUT_MS },
  )
}

function loginProperties(
  login: { user: string; password: string },
  keystore: string,
): Record<string, string> {
  const plain = 'org.apache.kafka.common.security.plain.PlainLoginModule'
  const scram = 'org.apache.kafka.common.security.scram.ScramLoginModule'
  return {
    'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512',
    'listener.name.login.plain.sasl.jaas.config': `${plain} required user_${login.user}="${login.password}";`,
    'listener.name.login.scram-sha-256.sasl.jaas.config': `${scram} required;`,
    'listener.name.login.scram-sha-512.sasl.jaas.config': `${scram} required;`,
    'ssl.keystore.type': 'PKCS12',
    'ssl.keystore.location': keystore,
    'ssl.keystore.password': KEYSTORE_PASSWORD,
  }
}

const KEYSTORE_PASSWORD = 'on-loopback'

/** A certificate of loopback that signs itself, made by the JDK's own tool. */
async function makeCertificate(dir: string): Promise<{ keystore: string; caFile: string }> {
  const keystore = join(dir, 'keystore.p12')
  const caFile = join(dir, 'ca.pem')
  const store = [
    '-keystore',
    keystore,
    '-storetype',
    'PKCS12',
    '-storepass',
    KEYSTORE_PASSWORD,
    '-alias',
    'kafka',
  ]
  if (!existsSync(keystore)) {
    await run('keytool', [
      '-genkeypair',
      ...store,
      '-dname',
      'CN=localhost',
      '-ext',
      'san=dns:localhost,ip:127.0.0.1',
      '-keyalg',
      'EC',
      '-validity',
      '3650',
    ])
    await run('keytool', ['-exportcert', '-rfc', ...store, '-file', caFile])
  }
  return { keystore, caFile }
}

/** A properties file is read as Latin-1, with escapes. */
function escaped(value: string): string {
  const unit = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
  return value.replaceAll(/[^\x20-\x7e]|\\/g, unit)
}

/** The broker opens its listeners last. */
async function accepts(port: number): Promise<boolean> {
  return await new Promise((done) => {
    const socket = connect({ host: '127.0.0.1', port, timeout: CONNECT_TIMEOUT_MS })
    const end = (answer: boolean): void => {
      socket.destroy()
      done(answer)
    }
    socket.once('connect', () => end(true))
    socket.once('timeout', () => end(false))
    socket.once('error', () => end(false))
  })
}
