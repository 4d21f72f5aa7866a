import { createHash } from 'node:crypto'
import { realpath } from 'node:fs/promises'
import { basename } from 'node:path'
import { Readable } from 'node:stream'
import type { DocumentFields } from '@aquifer/contracts/document-fields'
import { mapLimited } from '@aquifer/runtime/concurrency'
import { errorMessage, isMessageFault } from '@aquifer/runtime/errors'
import { untilAvailable } from '@aquifer/runtime/retry'
import type { PublisherDeps } from '../deps.ts'
import { takeContent } from './content.ts'
import { createDeletionGuard, CONFIRM_FILE } from './deletion-guard.ts'
import {
  folderIdentity,
  hashOf,
  inspect,
  isMissing,
  openInside,
  readAll,
  UNREADABLE,
} from './folder-files.ts'
import { createFolderTree } from './folder-tree.ts'
import type { FolderTree } from './folder-tree.ts'
import type { Publisher } from './publish.ts'
import type { KnownFile, WatchState } from '@aquifer/stores/watch-state'

export interface FolderSettings {
  readonly path: string
  /** Ids are `prefix/path`. */
  readonly prefix: string
  readonly tenant: string
  readonly access: Pick<DocumentFields, 'access' | 'open'>
  /** A file is taken when it has not changed for so long; one that is gone, removed. */
  readonly settleMs: number
  /** Everything is looked at so often, since events get lost. */
  readonly lookEveryMs: number
}

export type KeeperDeps = PublisherDeps &
  Pick<Publisher, 'publish' | 'remove'> & { readonly state: WatchState }

export interface FolderKeeper {
  /** Until the signal aborts. */
  run(signal: AbortSignal): Promise<void>
  look(): Promise<void>
}

/** Dealt with between two looks at the hints, so that an edit does not wait for thousands of files. */
const BATCH = 128
const AT_ONCE = 8
/** Known files are kept in memory; the rest of a larger folder is passed over and told of. */
const MAX_FILES = 250_000
/** More hints than these are one: to look at everything. */
const MAX_HINTS = 10_000
const MAX_TOLD = 1000
/** A look takes at most this share of the time. */
const LOOK_SHARE = 0.05

/** What is about to be dealt with: the mark that was seen (null: there is no file), and since when. */
interface Pending {
  readonly mark: string | null
  readonly since: number
}

/**
 * Keeps the documents below a prefix equal to the files of a folder.
 *
 *  W1  Whatever is published was read from a file within the folder that did not change for `settleMs` before, nor while it was read.
 *  W2  A file is published when its content or its access list is another than was published last, and not otherwise.
 *  W3  What is there no more is removed, but only while the folder itself stands, and not most of it at once (deletion-guard.ts).
 *  W4  Every change is found: by an event, or by the next look at everything. What was done is written down afterwards, so a kill
 *      repeats it and loses nothing.
 *  W5  A dependency's failure is waited for; a file's own is told once and tried again when the file changes.
 */
export function createFolderKeeper(deps: KeeperDeps, settings: FolderSettings): FolderKeeper {
  const { clock, logger, random, state } = deps
  const { prefix, tenant, settleMs, lookEveryMs } = settings
  const folder = `${tenant}/${prefix}`
  const access = JSON.stringify(settings.access)
  let known = new Map<string, KnownFile>()
  /** In the order of `since`. */
  const pending = new Map<string, Pending>()
  /** Those of them that an event told of: somebody may be waiting for these, while a look finds files by the thousand. */
  const urgent = new Set<string>()
  const hints = new Set<string>()
  const told = new Set<string>()
  const guard = createDeletionGuard(clock)
  let wake = new AbortController()
  /** Those who wait for a look to begin, and for what it found to be dealt with. */
  const asking: (() => void)[] = []
  const waiting: (() => void)[] = []
  let lookDue = true
  let nextLookAt = 0
  let lookedAt = 0
  let identity = ''
  let isGone = false

  const tell = (path: string, why: string): void => {
    if (told.has(`${path}: ${why}`)) return
    if (told.size >= MAX_TOLD) told.clear()
    told.add(`${path}: ${why}`)
    logger.warn({ folder, path }, `watched folder: ${why}`)
  }
  function hint(path: string): void {
    if (path === '' || hints.size >= MAX_HINTS) lookDue = true
    else hints.add(path)
    wake.abort()
  }

  /** Notes what is to be done for a path, if anything. */
  function note(path: string, mark: string | null): void {
    const before = known.get(path)
    if (mark === null ? !before : before?.mark === mark && before.access === access)
      return void pending.delete(path)
    if (!before && !pending.has(path) && known.size + pending.size >= MAX_FILES)
      return tell('', `it holds more than ${MAX_FILES} files: those beyond are passed over`)
    if (pending.get(path)?.mark === mark) return
    pending.delete(path)
    pending.set(path, { mark, since: clock.now() })
  }

  /** Looks at a path and all below it. */
  async function examine(
    tree: FolderTree,
    path: string,
    signal: AbortSignal,
  ): Promise<{ seen: Set<string>; blind: string[] }> {
    const seen = new Set<string>()
    const blind: string[] = []
    for await (const { path: at, found } of tree.walk(path)) {
      signal.throwIfAborted()
      if (found.kind === 'file') {
        seen.add(at)
        note(at, found.mark)
      } else if (found.kind === 'unreadable') {
        blind.push(at)
        tell(at, `${at} cannot be read: ${found.why}`)
      } else if (found.kind === 'passed') tell(at, `${at} is passed over: ${found.why}`)
    }
    return { seen, blind }
  }

  async function lookAtAll(tree: FolderTree, root: string, signal: AbortSignal): Promise<void> {
    const startedAt = clock.now()
    lookDue = false
    hints.clear()
    waiting.push(...asking.splice(0))
    identity = await folderIdentity(root)
    const { seen, blind } = await examine(tree, '', signal)
    const isBlind = (path: string) =>
      blind.some((at) => at === '' || at === path || path.startsWith(`${at}/`))
    for (const path of known.keys()) if (!seen.has(path) && !isBlind(path)) note(path, null)
    // Another folder in its place that holds nothing of this one is most likely none at all.
    const stored = await state.identity(folder)
    guard.setReplaced(
      stored !== null &&
        stored !== identity &&
        known.size > 0 &&
        ![...known.keys()].some((path) => seen.has(path)),
    )
    if (stored !== identity && !guard.isReplaced()) await state.setIdentity(folder, identity)
    lookedAt = clock.now()
    nextLookAt = lookedAt + Math.max(lookEveryMs, (lookedAt - startedAt) / LOOK_SHARE)
  }

  async function followHints(tree: FolderTree, signal: AbortSignal): Promise<void> {
    for (const path of [...hints].slice(0, BATCH)) {
      hints.delete(path)
      const wasFolder = tree.drop(path)
      urgent.add(path)
      const { seen, blind } = await examine(tree, path, signal)
      for (const each of seen) urgent.add(each)
      if (blind.length > 0) continue
      if (!seen.has(path)) note(path, null)
      if (wasFolder)
        for (const below of known.keys())
          if (below.startsWith(`${path}/`) && !seen.has(below)) note(below, null)
    }
  }

  /** What has settled, the urgent first. */
  function nextDue(): Map<string, Pending> {
    const due = new Map<string, Pending>()
    for (const paths of [urgent, pending.keys()])
      for (const path of paths) {
        if (due.size === BATCH) return due
        const entry = pending.get(path)
        if (!entry) urgent.delete(path)
        else if (entry.since + settleMs <= clock.now()) due.set(path, entry)
      }
    return due
  }

  async function settleDue(root: string, signal: AbortSignal): Promise<void> {
    const gone: string[] = []
    await mapLimited([...nextDue()], AT_ONCE, async ([path, { mark }]) => {
      const found = await inspect(root, path)
      const now = found.kind === 'file' ? found.mark : null
      if (found.kind === 'unreadable') {
        pending.delete(path)
        tell(path, `${path} cannot be read: ${found.why}`)
      } else if (now !== mark) note(path, now)
      else if (mark === null) gone.push(path)
      else await steadily(signal, path, () => take(root, path, mark, signal))
    })
    if (gone.length > 0) await removeAll(root, gone, signal)
  }

  /** A dependency is waited for; what the file itself is at fault for is told, and the file left alone until it changes. */
  async function steadily(signal: AbortSignal, path: string, work: () => Promise<void>): Promise<void> {
    const onFailure = (err: unknown) =>
      logger.warn({ err, folder, path }, 'watched folder: a dependency failed; it is waited for')
    try {
      await untilAvailable(work, { clock, random, signal, onFailure })
    } catch (error) {
      if (!isMessageFault(error)) throw error
      tell(path, `${path} was not taken: ${errorMessage(error)}`)
      const { mark } = pending.get(path) ?? {}
      // A disk that fails may work again at the next look.
      if (error.code === UNREADABLE) pending.delete(path)
      else if (mark) await remember(path, { mark, access, sha256: known.get(path)?.sha256 ?? null })
    }
  }

  async function remember(path: string, file: KnownFile): Promise<void> {
    await state.save(folder, path, file)
    known.set(path, file)
    pending.delete(path)
  }

  async function take(root: string, path: string, mark: string, signal: AbortSignal): Promise<void> {
    const file = await openInside(root, path).catch((error: unknown) => {
      if (!isMissing(error)) tell(path, `${path} cannot be opened: ${errorMessage(error)}`)
      return null
    })
    // The next look finds it again.
    if (!file) return void pending.delete(path)
    try {
      if (file.mark !== mark) return note(path, file.mark)
      const before = known.get(path)
      if (before?.sha256 && before.access === access) {
        const sha256 = await hashOf(file.handle)
        if (sha256 === before.sha256 && (await file.markNow()) === mark)
          return await remember(path, { mark, access, sha256 })
      }
      const hash = createHash('sha256')
      const content = Readable.from(
        readAll(file.handle, (slice) => hash.update(slice)),
        { objectMode: false },
      )
      const taken = await takeContent(deps, tenant, content, deps.uuid())
      const now = await file.markNow()
      // Where its turn is lost, another process publishes it, maybe as it is later.
      if (now !== mark || signal.aborted) {
        if (taken.blob !== null) await deps.blobs.delete(taken.blob)
        return note(path, now)
      }
      await publish(path, taken)
      await remember(path, { mark, access, sha256: hash.digest('hex') })
    } finally {
      await file.handle.close()
    }
  }

  async function publish(path: string, taken: Awaited<ReturnType<typeof takeContent>>): Promise<void> {
    const document = {
      id: `${prefix}/${path}`,
      ...taken,
      ...settings.access,
      // Its content and its name tell what it is.
      contentType: 'application/octet-stream',
      filename: basename(path),
      title: null,
      metadata: { path },
      publishedAt: clock.now(),
    }
    await deps.tracing.span('watch publish', undefined, {}, async ({ traceparent }) => {
      await deps.publish(tenant, document, traceparent)
    })
  }

  async function removeAll(root: string, gone: readonly string[], signal: AbortSignal): Promise<void> {
    const missing = [...pending.values()].filter(({ mark }) => mark === null)
    // Many at once may be the beginning of all of them: first everything is looked at.
    if (guard.isMany(missing.length) && missing.some(({ since }) => since > lookedAt)) {
      lookDue = true
      return
    }
    const created = [...pending].filter(([path, { mark }]) => mark !== null && !known.has(path)).length
    const left = known.size - missing.length + created
    const held = guard.check({ root, known: known.size, left })
    // Where the folder itself is gone meanwhile, or another in its place, so is everything below it.
    if ((await folderIdentity(root)) !== identity) {
      lookDue = true
      return
    }
    if (held !== null) {
      tell(
        '',
        `${missing.length} of ${known.size} files are gone, ${held}: nothing is removed. If that is meant, make a file ${CONFIRM_FILE} in it`,
      )
      for (const [path, { mark }] of pending) if (mark === null) pending.delete(path)
      return
    }
    await mapLimited(gone, AT_ONCE, async (path) => {
      await steadily(signal, path, async () => {
        if (known.get(path)?.sha256 != null)
          await deps.tracing.span('watch remove', undefined, {}, async ({ traceparent }) => {
            await deps.remove(tenant, `${prefix}/${path}`, traceparent)
          })
        await state.forget(folder, path)
        known.delete(path)
        pending.delete(path)
      })
    })
  }

  async function rest(signal: AbortSignal): Promise<void> {
    if (lookDue || hints.size > 0) return
    const [first] = pending.values()
    const until = Math.min(nextLookAt, first ? first.since + settleMs : nextLookAt)
    wake = new AbortController()
    await clock
      .sleep(Math.max(until - clock.now(), 0), AbortSignal.any([signal, wake.signal]))
      .catch(() => {})
  }

  /** Until the signal aborts, or another folder is meant by the path. */
  async function keepTree(root: string, signal: AbortSignal): Promise<void> {
    const onBlind = (path: string, error: unknown) =>
      tell(
        '',
        `${path || 'it'} cannot be watched, so that changes are found every ${lookEveryMs} ms: ${errorMessage(error)}`,
      )
    const tree = createFolderTree(root, { onHint: hint, onBlind })
    try {
      for (; !signal.aborted; await rest(signal)) {
        if (lookDue || clock.now() >= nextLookAt) {
          if ((await realpath(settings.path)) !== root) return
          await lookAtAll(tree, root, signal)
        } else await followHints(tree, signal)
        if (isGone) logger.warn({ folder }, `watched folder: ${settings.path} is back`)
        isGone = false
        await settleDue(root, signal)
        if (!lookDue && hints.size === 0 && pending.size === 0)
          for (const resolve of waiting.splice(0)) resolve()
      }
    } finally {
      tree.close()
    }
  }

  /** An unmounted share, most likely. */
  async function waitForFolder(why: string, signal: AbortSignal): Promise<void> {
    if (!isGone) {
      logger.error({ folder }, `watched folder: nothing is taken or removed until it is back: ${why}`)
    }
    isGone = true
    wake = new AbortController()
    await clock.sleep(settleMs, AbortSignal.any([signal, wake.signal])).catch(() => undefined)
  }

  return {
    async run(signal) {
      if (signal.aborted) return
      known = await state.load(folder)
      pending.clear()
      urgent.clear()
      while (!signal.aborted) {
        try {
          lookDue = true
          await keepTree(await realpath(settings.path), signal)
        } catch (error) {
          if (signal.aborted) return
          if (!isFileSystemError(error)) throw error
          await waitForFolder(errorMessage(error), signal)
        }
      }
    },
    async look() {
      await new Promise<void>((resolve) => {
        asking.push(resolve)
        lookDue = true
        wake.abort()
      })
    },
  }
}

function isFileSystemError(error: unknown): boolean {
  return (error as NodeJS.ErrnoException | null)?.syscall !== undefined
}
