import { watch } from 'node:fs'
import type { FSWatcher } from 'node:fs'
import { opendir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { inspect, isMissing, isPassedOver } from './folder-files.ts'
import type { Found } from './folder-files.ts'

/** Deeper ones are passed over. */
const MAX_DEPTH = 64
/** Half of what Linux keeps unread (fs.inotify.max_queued_events, 16,384): what comes beyond that is dropped, and nothing tells so. */
const MAX_EVENTS_AT_ONCE = 8192

export interface FolderTree {
  /**
   * Everything at and below a path (`''` is the root): files, and what is to be told of. A folder is watched before it is read, so
   * that nothing which comes meanwhile is missed.
   */
  walk(path: string): AsyncGenerator<{ path: string; found: Found }>
  /** Was it a folder when it was last seen? Then it is watched no more, nor what lies below it. */
  drop(path: string): boolean
  close(): void
}

/**
 * The folders below `root`, each with one watch of the operating system: one for each file would be used up by a large tree, and
 * what follows links or polls is not wanted. Events are hints, some get lost, and `onHint` gets a path that is worth a look; where
 * there is no watch to be had `onBlind` is told why, and looks from time to time have to do.
 */
export function createFolderTree(
  root: string,
  { onHint, onBlind }: { onHint: (path: string) => void; onBlind: (path: string, error: unknown) => void },
): FolderTree {
  const watched = new Map<string, { mark: string; watcher: FSWatcher | null }>()

  let eventsAtOnce = 0

  /** All that the system has kept comes in one turn. */
  function countEvent(): void {
    if (eventsAtOnce === 0) setImmediate(() => (eventsAtOnce = 0))
    if (++eventsAtOnce === MAX_EVENTS_AT_ONCE) onHint('')
  }

  function drop(path: string): boolean {
    const known = watched.has(path)
    if (!known) return false
    for (const [each, { watcher }] of watched)
      if (each === path || path === '' || each.startsWith(`${path}/`)) {
        watcher?.close()
        watched.delete(each)
      }
    return true
  }

  function observe(path: string, mark: string): void {
    if (watched.get(path)?.mark === mark) return
    drop(path)
    const full = join(root, path)
    let watcher: FSWatcher | null = null
    try {
      watcher = watch(full, { persistent: false }, (_, name) => {
        countEvent()
        // What happens to the folder itself comes under its own name.
        if (name === null || name === basename(full)) onHint(path)
        if (name === null) return
        if (!isPassedOver(name)) onHint(path === '' ? name : `${path}/${name}`)
      })
      watcher.on('error', (error) => {
        watcher?.close()
        onBlind(path, error)
      })
    } catch (error) {
      if (!isMissing(error)) onBlind(path, error)
    }
    watched.set(path, { mark, watcher })
  }

  async function* walk(
    path: string,
    depth = path.split('/').length,
  ): AsyncGenerator<{ path: string; found: Found }> {
    const found = await inspect(root, path)
    if (found.kind !== 'folder') return yield { path, found }
    if (depth > MAX_DEPTH)
      return yield { path, found: { kind: 'passed', why: `it lies more than ${MAX_DEPTH} deep` } }
    observe(path, found.mark)
    const names: string[] = []
    try {
      for await (const { name } of await opendir(join(root, path))) if (!isPassedOver(name)) names.push(name)
    } catch (error) {
      if (isMissing(error)) return yield { path, found: { kind: 'missing' } }
      return yield { path, found: { kind: 'unreadable', why: String(error) } }
    }
    for (const name of names) {
      const below = path === '' ? name : `${path}/${name}`
      // The real name is not known, so it cannot be opened.
      if (name.includes('\uFFFD'))
        yield { path: below, found: { kind: 'passed', why: 'its name is not UTF-8' } }
      else yield* walk(below, depth + 1)
    }
  }

  return {
    walk,
    drop,
    close() {
      drop('')
    },
  }
}
