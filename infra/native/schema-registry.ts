import { execFile } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { freePort } from './free-port.ts'
import { needJava, startJava } from './java-part.ts'
import { mavenArtifact } from './maven.ts'
import type { Part, PartOptions } from './part.ts'

/** The newest that Java 17 runs. */
const VERSION = '3.0.9'

/** Apicurio Registry (Apache-2.0, on Maven Central), which speaks Confluent's API under a path of its own. */
export async function startSchemaRegistry(options: PartOptions): Promise<Part> {
  needJava(17)
  const archive = await mavenArtifact(`io.apicurio:apicurio-registry-app:${VERSION}:tar.gz:all`)
  const dir = resolve(options.dir)
  const app = join(dir, 'app')
  await mkdir(app, { recursive: true })
  await promisify(execFile)('tar', ['-xzf', archive, '-C', app])
  const port = options.port || (await freePort())
  const url = `http://127.0.0.1:${port}/apis/ccompat/v7`
  return await startJava(
    {
      name: 'schema-registry',
      label: `Apicurio Registry ${VERSION}`,
      variable: 'AQUIFER_SCHEMA_REGISTRY',
      url,
    },
    {
      dir,
      args: [
        '-Xmx384m',
        '-XX:TieredStopAtLevel=1',
        '-Dquarkus.http.host=127.0.0.1',
        `-Dquarkus.http.port=${port}`,
        `-Dapicurio.datasource.url=jdbc:h2:file:${join(dir, 'registry')}`,
        '-jar',
        join(app, `apicurio-registry-app-${VERSION}-runner.jar`),
      ],
      isUp: async () => (await fetch(`${url}/subjects`, { signal: AbortSignal.timeout(2000) })).ok,
    },
  )
}
