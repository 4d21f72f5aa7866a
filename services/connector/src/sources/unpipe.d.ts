declare module 'unpipe' {
  import type { Readable } from 'node:stream'
  /** Detaches a stream from all of its destinations. */
  export default function unpipe(stream: Readable): void
}
