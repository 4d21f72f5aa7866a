/**
 * Which instance of the index and registry belongs to an embedder fingerprint, and which generation serves.
 *
 *  G1  Of several processes that ask at once for the instance of a fingerprint, all get the same one.
 *  G2  A lost instance is renewed once: whoever names an instance that was replaced already gets its successor.
 */
export interface GenerationStore {
  /** The instance of a fingerprint; made where there is none. */
  instanceOf(fingerprint: string): Promise<string>
  /** A new instance in place of `lost`, whose registry or index is gone: its consumer groups read the log from its start. */
  renew(fingerprint: string, lost: string): Promise<string>
  /** Fingerprints that have an instance, with it. */
  instances(): Promise<ReadonlyMap<string, string>>
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
