/**
 * Which instance of the index and registry belongs to an embedder fingerprint, and which generation serves.
 *
 *  G1  Of several processes that renew the instance of a fingerprint at once, all get the same one.
 *  G2  A lost instance is renewed once: whoever names an instance that was replaced already gets its successor.
 *  G3  An instance is known to others only when it was prepared: one that was not, as after a crash, is never used.
 */
export interface GenerationStore {
  /** Fingerprints that have an instance, with it. */
  instances(): Promise<ReadonlyMap<string, string>>
  /**
   * A new instance in place of `lost`, whose registry or index is gone, or of none (null): its consumer groups read the log from
   * its start. `prepare` fills its registry first. Where another process was faster, what was prepared is nobody's, and
   * the caller drops it.
   */
  renew(
    fingerprint: string,
    lost: string | null,
    prepare: (instance: string) => Promise<void>,
  ): Promise<string>
  /** Of a fingerprint whose collection and registry were dropped. */
  forget(fingerprint: string): Promise<void>
  /** The generation that serves; null before the first. */
  current(): Promise<GenerationRecord | null>
  setCurrent(record: GenerationRecord): Promise<void>
}

/** What is kept of a generation, so that the next start can serve from it. */
export interface GenerationRecord {
  readonly build: string
  readonly embedderUrl: string
  readonly fingerprint: string
  readonly dimensions: number
}
