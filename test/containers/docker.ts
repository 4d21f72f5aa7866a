import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
export const ROOT = fileURLToPath(new URL('../..', import.meta.url))
/** A base image is there, or can be pulled; an image is built in a minute or three. */
const COMMAND_TIMEOUT_MS = 15 * 60_000
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024

/** The image that all others are built on, or why there are no containers here. */
export async function baseImage(): Promise<{ base: string } | { missing: string }> {
  const base = process.env['AQUIFER_BASE_IMAGE']
  const required = process.env['AQUIFER_REQUIRE']?.split(',').includes('docker') ?? false
  const missing =
    base === undefined
      ? 'AQUIFER_BASE_IMAGE is not set: node:24-bookworm-slim, or what infra/images/make-base.sh makes'
      : await docker(['compose', 'version'])
          .then(() => docker(['info']))
          .then(() => null)
          .catch(
            (error: Error) =>
              `no Docker engine with compose answers: ${error.message.split('\n')[1] ?? error.message}`,
          )
  if (missing === null) return { base: base! }
  if (required) throw new Error(missing)
  return { missing }
}

/** Runs the docker command and gives its output, trimmed. Throws what it wrote on stderr. */
export async function docker(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<string> {
  const { stdout } = await run('docker', [...args], {
    env: { ...process.env, ...env },
    timeout: COMMAND_TIMEOUT_MS,
    maxBuffer: MAX_OUTPUT_BYTES,
  })
  return stdout.trim()
}

/** An image of infra/images on the base; what did not change comes from Docker's cache. */
export async function build(
  name: 'kafka' | 'redis' | 'qdrant-shim',
  base: string,
  context = 'infra/images',
): Promise<string> {
  const image = `aquifer-${name}`
  const file = `${ROOT}infra/images/${name}.Dockerfile`
  await docker([
    'build',
    '--quiet',
    '--build-arg',
    `BASE=${base}`,
    '--file',
    file,
    '--tag',
    image,
    `${ROOT}${context}`,
  ])
  return image
}
