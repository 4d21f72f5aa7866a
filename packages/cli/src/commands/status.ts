import { Command } from 'commander'
import { addClientOptions, call } from '../client.ts'
import type { ClientOptions } from '../client.ts'

export function statusCommand(): Command {
  return addClientOptions(new Command('status'))
    .description('How the whole stands, or one document')
    .argument('[id]')
    .action(async (id: string | undefined, options: ClientOptions & { json?: boolean }) => {
      const path = id === undefined ? '/v1/status' : `/v1/documents/${encodeURIComponent(id)}`
      const status = (await (await call(options, path)).json()) as Record<string, unknown>
      if (options.json) return console.log(JSON.stringify(status))
      for (const [name, value] of Object.entries(status)) {
        console.log(`${name.padEnd(16)}${typeof value === 'string' ? value : JSON.stringify(value)}`)
      }
    })
}
