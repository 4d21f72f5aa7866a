import { readdir, readFile } from 'node:fs/promises'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Argument, Command } from 'commander'
import { readConfig } from '@aquifer/runtime/config'
import { errorMessage } from '@aquifer/runtime/errors'
import { createLogger } from '@aquifer/runtime/logger'
import type { Logger } from '@aquifer/runtime/logger'
import { callJson } from '../client.ts'
import { SERVICES } from '../services.ts'
import type { ServiceName } from '../services.ts'
import type { System } from '../system.ts'
import { mediaTypeOf } from '../media-types.ts'

const SAMPLES_TIMEOUT_MS = 30_000
const SAMPLES = new URL('../../../../samples/', import.meta.url)

export function startCommand(): Command {
  return new Command('start')
    .addArgument(
      new Argument(
        '[services...]',
        'all of them in one process unless told; some alone only on servers that all share (kafka, qdrant, redis)',
      ).choices(SERVICES),
    )
    .description('Start the services, on the adapters that AQUIFER_* names; query serves every route')
    .option('--no-samples', 'do not index samples/ into a new data directory')
    .option('--json', 'print JSON once it serves')
    .addHelpText(
      'after',
      `
It goes on until Ctrl-C or SIGTERM. docs/operating.md lists the variables.

Examples:
  aquifer start
  AQUIFER_GENERATOR=openai:http://127.0.0.1:11434/v1#llama3.2 aquifer start
  AQUIFER_PORT=8081 aquifer start embedder`,
    )
    .action(async (named: ServiceName[], options: { samples: boolean; json?: boolean }) => {
      const services = named.length > 0 ? named : SERVICES
      const config = readConfig(process.env, process.cwd())
      const logger = createLogger(config.logLevel, 'aquifer')
      // Only this command needs all services and adapters: the others are to answer at once.
      const { startSystem } = await import('../system.ts')
      const system = await startSystem({
        config,
        logger,
        services,
        onProgress: (line) => console.error(line),
      })
      stopOnSignal(system, logger)
      // Where the page is not made yet, it is while the first visitor is still on the way.
      if (services.includes('query'))
        void fetch(system.url, { headers: { accept: 'text/html' } }).catch(() => undefined)
      if (system.isNew && options.samples)
        await publishSamples(system.url, config.apiKeys === undefined, logger)
      for (const warning of system.warnings) console.error(`WARNING: ${warning}`)
      if (options.json)
        return console.log(JSON.stringify({ url: system.url, services, warnings: system.warnings }))
      console.log(
        services.includes('query')
          ? greeting(system.url)
          : `${services.join(', ')}: health and metrics on ${system.url}`,
      )
    })
}

function greeting(url: string): string {
  const ask = `curl ${url}/v1/chat/completions -H 'Content-Type: application/json' -d '{"messages":[{"role":"user","content":"What is a floor?"}]}'`
  return [
    '',
    `Aquifer serves on ${url}`,
    '',
    'Ask:      npx -y pnpm@12 aquifer ask "What is a floor?"',
    `          ${ask}`,
    'Publish:  npx -y pnpm@12 aquifer publish README.md',
    `Chat:     ${url}/`,
    `Routes:   ${url}/reference`,
    '',
  ].join('\n')
}

function stopOnSignal(system: System, logger: Logger): void {
  let stopping = false
  const stop = (signal: NodeJS.Signals): void => {
    if (stopping) return
    stopping = true
    logger.info({ signal }, 'stopping')
    system.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        logger.fatal({ err: error }, `the stop failed: ${errorMessage(error)}`)
        process.exit(1)
      },
    )
  }
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
}

/** A new data directory has something to ask about at once: it ends when that is found. With keys, only their holders publish. */
async function publishSamples(url: string, open: boolean, logger: Logger): Promise<void> {
  if (!open) return
  const receipts: string[] = []
  for (const name of await readdir(SAMPLES)) {
    const bytes = await readFile(fileURLToPath(new URL(name, SAMPLES)))
    const response = await fetch(`${url}/v1/documents/${encodeURIComponent(`samples/${name}`)}`, {
      method: 'PUT',
      headers: { 'Content-Type': mediaTypeOf(extname(name)), 'X-Filename': encodeURIComponent(name) },
      body: new Uint8Array(bytes),
    })
    if (response.ok) receipts.push(((await response.json()) as { receipt: string }).receipt)
    else logger.warn({ name, status: response.status }, 'a sample was not taken')
  }
  const { fresh, reason } = await callJson<{ fresh: boolean; reason?: string }>({ url }, '/v1/search', {
    method: 'POST',
    body: { query: 'Aquifer', mode: 'lexical', limit: 1, after: receipts, timeoutMs: SAMPLES_TIMEOUT_MS },
  })
  if (!fresh) logger.warn({ reason }, 'not all samples are found yet')
}
