import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { mavenFolder } from './maven.ts'

export const KAFKA_VERSION = '4.1.2'
/** Kafka with its command line tools, and what takes its log. */
const ARTIFACTS = [
  ['org.apache.kafka', 'kafka_2.13', KAFKA_VERSION],
  ['org.apache.kafka', 'kafka-tools', KAFKA_VERSION],
  ['org.apache.logging.log4j', 'log4j-slf4j-impl', '2.25.3'],
] as const

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

/** The folder of Kafka's jars (54 MB), beside which `log4j2.properties` lies. Throws `PartMissing`. */
export async function kafkaJars(): Promise<string> {
  const folder = await mavenFolder(`kafka-${KAFKA_VERSION}`, async (incoming, maven) => {
    const dependencies = ARTIFACTS.map(
      ([group, artifact, version]) =>
        `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`,
    )
    const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>aquifer</groupId><artifactId>kafka</artifactId><version>1</version>
<dependencies>${dependencies.join('')}</dependencies></project>`
    await writeFile(join(incoming, 'pom.xml'), pom)
    await maven('dependency:copy-dependencies', '-DincludeScope=runtime', '-DoutputDirectory=libs')
    await writeFile(join(incoming, 'log4j2.properties'), LOG4J)
  })
  return join(folder, 'libs')
}
