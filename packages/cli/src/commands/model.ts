import { Command } from 'commander'
import { readConfig } from '@aquifer/runtime/config'
import { openConfigured } from '../open-model.ts'

export function modelCommand(): Command {
  const model = new Command('model').description('The embedding model').exitOverride()
  model
    .command('pull')
    .description('Fetch the embedding model, check it and make it ready')
    .option('--json', 'print JSON')
    .action(async ({ json }: { json?: boolean }) => {
      const config = readConfig(process.env, process.cwd())
      const embedder = await openConfigured(config.embedder, config, (line) => {
        if (!json) console.error(line)
      })
      const { name, fingerprint, dimensions } = embedder
      await embedder.close()
      console.log(json ? JSON.stringify({ name, fingerprint, dimensions }) : `${name} is ready`)
    })
  return model
}
