import type { ChildProcess } from 'node:child_process'

/** A real system that was started on loopback. */
export interface Part {
  readonly name: 'kafka' | 'redis' | 'qdrant' | 's3' | 'schema-registry'
  /** What ran, with its version; a stand-in says that it is one. */
  readonly label: string
  /** The variable that names it to Aquifer, and its value. */
  readonly variable: string
  readonly url: string
  /** The server's process, for those who kill or stop it; null where it runs elsewhere. */
  readonly process: ChildProcess | null
  /** Kills the server as `kill -9` would. */
  kill(): Promise<void>
  /** Starts it again on the same port and data. */
  restart(): Promise<void>
  stop(): Promise<void>
}

export interface PartOptions {
  /** Where the part keeps its data, log and downloads; made when missing. */
  readonly dir: string
  /** 0 or absent takes a free one. */
  readonly port?: number
}

/** Thrown where a part cannot be had here: the message says what is missing and how to get it. */
export class PartMissing extends Error {
  override readonly name = 'PartMissing'
}
