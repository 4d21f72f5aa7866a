/** What a folder's file was when it was last dealt with. */
export interface KnownFile {
  /** As `Found` has it: unchanged means that the file need not be read. */
  readonly mark: string
  /** Of the content that was published last; null where none of it ever was. */
  readonly sha256: string | null
  /** The access list that it was published with. */
  readonly access: string
}

/**
 * What was published of watched folders, shared by all processes that take turns in watching them: whoever takes over knows what the
 * one before it published, so that a file which is gone meanwhile is removed, and none is published again. Losing it costs only that
 * everything is published once more. `folder` is `tenant/prefix`, `path` is below it.
 */
export interface WatchState {
  load(folder: string): Promise<Map<string, KnownFile>>
  save(folder: string, path: string, file: KnownFile): Promise<void>
  forget(folder: string, path: string): Promise<void>
  /** Device and inode of the folder at the last look. */
  identity(folder: string): Promise<string | null>
  setIdentity(folder: string, identity: string): Promise<void>
  close(): Promise<void>
}
