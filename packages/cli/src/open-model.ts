import type { Embedder } from '@aquifer/models/embedder'
import { openEmbedder } from '@aquifer/models/open'
import type { PullProgress } from '@aquifer/models/pull'
import { isShared } from '@aquifer/runtime/config'
import type { Config } from '@aquifer/runtime/config'
import { AquiferError, errorMessage } from '@aquifer/runtime/errors'
import type { Logger } from '@aquifer/runtime/logger'

/** The embedder that a URL names, with what the process's configuration says of it. Throws `model_unavailable` and the like. */
export async function openConfigured(
  url: string,
  config: Config,
  onProgress: (progress: PullProgress) => void,
): Promise<Embedder> {
  const { dataDir, openaiApiKey: apiKey, embedThreads: threads } = config
  return await openEmbedder(url, { dataDir, env: process.env, apiKey, threads, onProgress })
}

/**
 * The same; where its model cannot be had, the makeshift one, said loudly. Not where processes share the stores: one without the model
 * would begin an index of its own for all.
 */
export async function openModel(
  url: string,
  config: Config,
  logger: Logger,
  onLine: (line: string) => void,
): Promise<Embedder> {
  const onProgress = progressLines(onLine)
  try {
    return await openConfigured(url, config, onProgress)
  } catch (error) {
    if (!(error instanceof AquiferError) || error.code !== 'model_unavailable' || isShared(config))
      throw error
    logger.error(
      { err: error },
      `the embedding model cannot be had: ${errorMessage(error)}. The lexical embedder stands in: answers are worse.`,
    )
    return await openConfigured('lexical:', config, onProgress)
  }
}

/** A line for every tenth of a file. */
function progressLines(write: (line: string) => void): (progress: PullProgress) => void {
  let last = ''
  return ({ model, source, file, doneBytes, totalBytes }) => {
    const tenths = Math.floor((10 * doneBytes) / totalBytes)
    const line = `${model}: ${file} from the ${source}, ${tenths * 10} % of ${Math.ceil(totalBytes / 1e6)} MB`
    if (line === last) return
    last = line
    write(line)
  }
}
