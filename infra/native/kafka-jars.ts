import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { PartMissing } from './part.ts'
import { own, within } from './state.ts'

const run = promisify(execFile)

export const KAFKA_VERSION = '4.1.2'
/** Kafka with its command line tools, and what takes its log. */
const ARTIFACTS = [
  ['org.apache.kafka', 'kafka_2.13', KAFKA_VERSION],
  ['org.apache.kafka', 'kafka-tools', KAFKA_VERSION],
  ['org.apache.logging.log4j', 'log4j-slf4j-impl', '2.25.3'],
] as const

const DOWNLOAD_TIMEOUT_MS = 5 * 60_000

/** Only what goes wrong, and when the server is up. */
const LOG4J = `
status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601} %p %c: %m%n
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
logger.server.name = kafka.server.KafkaRaftServer
logger.server.level = info
`

/**
 * The folder of Kafka's jars, beside which `log4j2.properties` lies: downloaded once for the user (54 MB) by the machine's
 * own Maven, so that its mirrors and proxies hold. Throws `PartMissing`.
 */
export async function kafkaJars(): Promise<string> {
  const cache = join(
    process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'),
    'aquifer',
    `kafka-${KAFKA_VERSION}`,
  )
  const folder = join(cache, 'libs')
  if (existsSync(folder)) return folder
  let release: (() => void) | null = null
  if (!(await within(DOWNLOAD_TIMEOUT_MS, () => (release = own(cache)) !== null)))
    throw new PartMissing(`another process holds ${cache} for more than ${DOWNLOAD_TIMEOUT_MS} ms`)
  try {
    if (!existsSync(folder)) await download(cache, folder)
  } finally {
    release!()
  }
  return folder
}

async function download(cache: string, folder: string): Promise<void> {
  const incoming = await mkdtemp(join(cache, 'incoming-'))
  const dependencies = ARTIFACTS.map(
    ([group, artifact, version]) =>
      `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`,
  )
  const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>aquifer</groupId><artifactId>kafka</artifactId><version>1</version>
<dependencies>${dependencies.join('')}</dependencies></project>`
  try {
    await writeFile(join(incoming, 'pom.xml'), pom)
    await run(
      'mvn',
      ['-q', '-B', 'dependency:copy-dependencies', '-DincludeScope=runtime', '-DoutputDirectory=libs'],
      { cwd: incoming, timeout: DOWNLOAD_TIMEOUT_MS },
    )
    await writeFile(join(cache, 'log4j2.properties'), LOG4J)
    await rename(join(incoming, 'libs'), folder)
  } catch (error) {
    const { code, stdout = '' } = error as { code?: unknown; stdout?: string }
    if (code === 'ENOENT') throw new PartMissing('there is no mvn: apt install maven')
    const reason = stdout.split('\n').find((line) => line.includes('ERROR')) ?? String(error)
    throw new PartMissing(`Kafka ${KAFKA_VERSION} could not be had from Maven: ${reason}`)
  } finally {
    await rm(incoming, { recursive: true, force: true })
  }
}
