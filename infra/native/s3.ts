import { mkdir, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { freePort } from './free-port.ts'
import { needJava, startJava } from './java-part.ts'
import { mavenArtifact } from './maven.ts'
import type { Part, PartOptions } from './part.ts'

const VERSION = '4.1.0'
const BUCKET = 'aquifer'

/** Who may use a server that `startS3` started, as the AWS clients read it from the environment. */
export const S3_CREDENTIALS = {
  AWS_ACCESS_KEY_ID: 'aquifer',
  AWS_SECRET_ACCESS_KEY: 'aquifer-on-loopback',
} as const

/**
 * S3Proxy (Apache-2.0, one jar on Maven Central), which serves the S3 protocol, signatures and multipart uploads included,
 * from files of `dir`. There is one bucket, `aquifer`.
 */
export async function startS3(options: PartOptions): Promise<Part> {
  needJava(17)
  const jar = await mavenArtifact(`org.gaul:s3proxy:${VERSION}:jar:jar-with-dependencies`)
  const dir = resolve(options.dir)
  const port = options.port || (await freePort())
  const endpoint = `http://127.0.0.1:${port}`
  await mkdir(join(dir, 'buckets', BUCKET), { recursive: true })
  const properties = {
    's3proxy.endpoint': endpoint,
    's3proxy.authorization': 'aws-v2-or-v4',
    's3proxy.identity': S3_CREDENTIALS.AWS_ACCESS_KEY_ID,
    's3proxy.credential': S3_CREDENTIALS.AWS_SECRET_ACCESS_KEY,
    'jclouds.provider': 'filesystem',
    'jclouds.filesystem.basedir': join(dir, 'buckets'),
  }
  const file = join(dir, 's3proxy.properties')
  await writeFile(
    file,
    Object.entries(properties)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(''),
  )
  return await startJava(
    {
      name: 's3',
      label: `S3Proxy ${VERSION} on files`,
      variable: 'AQUIFER_BLOBS',
      url: `s3://${BUCKET}?region=us-east-1&endpoint=${encodeURIComponent(endpoint)}&forcePathStyle=true`,
    },
    {
      dir,
      args: ['-Xmx256m', '-XX:TieredStopAtLevel=1', '-jar', jar, '--properties', file],
      // Denied without a signature: it serves.
      isUp: async () => (await fetch(endpoint, { signal: AbortSignal.timeout(2000) })).status === 403,
    },
  )
}
