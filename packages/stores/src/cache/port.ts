/** Values with a time to live. A miss is always possible; nothing may rely on a hit. */
export interface Cache {
  get(key: string): Promise<Buffer | null>
  set(key: string, value: Buffer, ttlMs: number): Promise<void>
  /** Sets only where the key is absent or expired. True: set by this call; of concurrent callers exactly one gets true. */
  add(key: string, value: Buffer, ttlMs: number): Promise<boolean>
  delete(key: string): Promise<void>
  ping(): Promise<void>
  close(): Promise<void>
}
