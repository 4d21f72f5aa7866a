import { basename, resolve } from 'node:path'
import { accessFields } from '@aquifer/contracts/document-fields'
import { checkDocumentId } from '@aquifer/contracts/keys'
import { createTurns } from '@aquifer/runtime/concurrency'
import { invalid, unavailable } from '@aquifer/runtime/errors'
import { untilAvailable } from '@aquifer/runtime/retry'
import type { PublisherDeps } from '../deps.ts'
import { createFolderKeeper } from './folder-keeper.ts'
import type { FolderKeeper, FolderSettings } from './folder-keeper.ts'
import { createPublisher } from './publish.ts'
import type { WatchState } from '@aquifer/stores/watch-state'

export interface FolderWatchDeps extends PublisherDeps {
  readonly state: WatchState
  /** Paths; `name=path` gives the prefix of the ids, which is the folder's own name otherwise. */
  readonly folders: readonly string[]
  readonly tenant: string
  /** As the header Aquifer-Access: groups separated by commas, `*` for all; left out, the whole tenant. */
  readonly access?: string | undefined
  readonly tuning?: Partial<Pick<FolderSettings, 'settleMs' | 'lookEveryMs'>>
}

/** Watched folders as documents: what files they hold, the tenant has under `prefix/path`. */
export interface FolderWatch {
  /** Begins; the folders may come later. */
  start(): void
  /** Looks at everything, and resolves when all that was found is published, removed or told of. */
  look(): Promise<void>
  stop(): Promise<void>
}

/** Without its word an editor's two steps (empty the file, write it) would be two versions. */
const SETTLE_MS = 1000
const LOOK_EVERY_MS = 60_000

/**
 * One process watches a folder: the others that are told to wait for their turn, and go on where it ends. Throws `invalid_config`
 * where two folders would share ids.
 */
export function createFolderWatch(deps: FolderWatchDeps): FolderWatch {
  const { state, tenant, clock, random, logger } = deps
  const { remove, publish } = createPublisher(deps)
  const inTurn = deps.turns ?? createTurns()
  const stopping = new AbortController()
  const { signal } = stopping
  const keepers = parseFolders(deps.folders).map(({ path, prefix }): [string, FolderKeeper] => [
    `watch/${tenant}/${prefix}`,
    createFolderKeeper(
      { ...deps, publish, remove, state },
      {
        path,
        prefix,
        tenant,
        access: accessFields(deps.access),
        settleMs: SETTLE_MS,
        lookEveryMs: LOOK_EVERY_MS,
        ...deps.tuning,
      },
    ),
  ])
  const running = new Set<Promise<void>>()

  /** In its turn, as long as that is its own; a process that waits for it is not waited for by `stop`. */
  async function keep(name: string, keeper: FolderKeeper): Promise<void> {
    let isWaiting = false
    const work = async (lost: AbortSignal) => {
      if (isWaiting) logger.info({ folder: name }, 'a watched folder is watched by this process now')
      isWaiting = false
      const run = keeper.run(AbortSignal.any([signal, lost]))
      running.add(run)
      await run.finally(() => running.delete(run))
      if (!signal.aborted) throw unavailable('state_unavailable', 'its turn passed to another process')
    }
    const onFailure = (err: unknown) => {
      if (!isWaiting)
        logger.warn(
          { err, folder: name },
          'a watched folder is waited for: another process has it, or a store failed',
        )
      isWaiting = true
    }
    try {
      await untilAvailable(() => inTurn(name, work), { clock, random, signal, onFailure })
    } catch (error) {
      if (!signal.aborted) logger.error({ err: error, folder: name }, 'a folder is watched no more')
    }
  }

  return {
    start() {
      for (const [name, keeper] of keepers) void keep(name, keeper)
    },
    look: async () => void (await Promise.all(keepers.map(([, keeper]) => keeper.look()))),
    async stop() {
      stopping.abort()
      await Promise.allSettled(running)
      await state.close()
    },
  }
}

function parseFolders(folders: readonly string[]): { path: string; prefix: string }[] {
  const parsed = folders.map((folder) => {
    const [, name = null, path = folder] = /^([^=/]+)=(.+)$/.exec(folder) ?? []
    return { path: resolve(path), prefix: checkDocumentId(name ?? basename(resolve(path))) }
  })
  const prefixes = parsed.map(({ prefix }) => prefix)
  const twice = prefixes.find((prefix, at) => prefixes.indexOf(prefix) !== at)
  if (twice !== undefined)
    throw invalid(
      'invalid_config',
      `AQUIFER_WATCH: two folders are called ${twice}; name one of them: other=/path`,
    )
  return parsed
}
