import { closeSync, openSync, readSync } from 'node:fs'
import { invalid } from '@aquifer/runtime/errors'

/** One tensor of a safetensors file (https://github.com/huggingface/safetensors#format), read when it is asked for. */
export interface TensorEntry {
  readonly dtype: string
  readonly shape: readonly number[]
  /** Where its bytes start in the file. */
  readonly offsetBytes: number
  readonly lengthBytes: number
}

export interface Safetensors {
  readonly tensors: ReadonlyMap<string, TensorEntry>
  /** Throws `model_unreadable` when the tensor is missing or is not float32. */
  float32(name: string): Float32Array
  close(): void
}

const MAX_HEADER_BYTES = 16 * 1024 * 1024

/** Opens a safetensors file. Blocking: for worker threads and commands. Throws `model_unreadable`. */
export function openSafetensors(path: string): Safetensors {
  const file = openSync(path, 'r')
  const read = (offset: number, length: number): Uint8Array<ArrayBuffer> => {
    const bytes = new Uint8Array(length)
    let done = 0
    while (done < length) {
      const got = readSync(file, bytes, done, length - done, offset + done)
      if (got === 0) throw unreadable(path, `it ends at byte ${offset + done}`)
      done += got
    }
    return bytes
  }
  try {
    const tensors = readHeader(path, read)
    return {
      tensors,
      float32(name) {
        const entry = tensors.get(name)
        if (entry?.dtype !== 'F32')
          throw unreadable(path, `tensor ${name} is ${entry ? `of type ${entry.dtype}, not F32` : 'missing'}`)
        return new Float32Array(read(entry.offsetBytes, entry.lengthBytes).buffer)
      },
      close: () => closeSync(file),
    }
  } catch (error) {
    closeSync(file)
    throw error
  }
}

function readHeader(
  path: string,
  read: (offset: number, length: number) => Uint8Array<ArrayBuffer>,
): Map<string, TensorEntry> {
  const headerBytes = Number(new DataView(read(0, 8).buffer).getBigUint64(0, true))
  if (headerBytes > MAX_HEADER_BYTES) throw unreadable(path, `its header would take ${headerBytes} bytes`)
  const header = parseHeader(path, read(8, headerBytes))
  const tensors = new Map<string, TensorEntry>()
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__' || !entry.data_offsets || !entry.dtype || !entry.shape) continue
    const [start, end] = entry.data_offsets
    tensors.set(name, {
      dtype: entry.dtype,
      shape: entry.shape,
      offsetBytes: 8 + headerBytes + start,
      lengthBytes: end - start,
    })
  }
  return tensors
}

interface RawEntry {
  dtype?: string
  shape?: number[]
  data_offsets?: [number, number]
}

function parseHeader(path: string, bytes: Uint8Array): Record<string, RawEntry> {
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as Record<string, RawEntry>
  } catch (cause) {
    throw unreadable(path, 'its header is not JSON', cause)
  }
}

function unreadable(path: string, why: string, cause?: unknown): Error {
  return invalid('model_unreadable', `${path} cannot be read as safetensors: ${why}`, 500, cause)
}
