import { promisify } from 'node:util'
import { gunzip, gzip, zstdCompress, zstdDecompress } from 'node:zlib'
import { decompressFrame } from 'lz4-napi'
import compression from 'kafkajs/src/protocol/message/compression/index.js'
import { uncompress } from 'snappy'

/** A foreign batch is at most about 1 MiB; what unpacks to more than this is made to fill the memory. */
const MAX_UNPACKED_BYTES = 256 * 1024 * 1024

/** What is unpacked comes in pieces of this size: Node's own 16 KiB cost twice the time of unpacking a batch. */
const CHUNK_BYTES = 128 * 1024

const XERIAL_MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00])
const XERIAL_HEADER_BYTES = 16

/**
 * Teaches kafkajs what its producers elsewhere may have packed with. All of it works outside of the event loop; ours packs
 * with gzip alone, which every client can read.
 */
export function registerCodecs(): void {
  const bound = { maxOutputLength: MAX_UNPACKED_BYTES, chunkSize: CHUNK_BYTES }
  const { Codecs, Types } = compression
  const readOnly = async (): Promise<never> => {
    throw new Error('only gzip is written')
  }
  Codecs[Types.GZIP] = () => ({
    compress: async ({ buffer }) => await promisify(gzip)(buffer),
    decompress: async (buffer) => await promisify(gunzip)(buffer, bound),
  })
  Codecs[Types.ZSTD] = () => ({
    compress: async ({ buffer }) => await promisify(zstdCompress)(buffer),
    decompress: async (buffer) => await promisify(zstdDecompress)(buffer, bound),
  })
  Codecs[Types.LZ4] = () => ({ compress: readOnly, decompress: decompressFrame })
  Codecs[Types.Snappy] = () => ({ compress: readOnly, decompress: unpackSnappy })
}

/** Java's client frames the blocks as xerial's library does; others write one block as it is. */
async function unpackSnappy(packed: Buffer): Promise<Buffer> {
  if (!packed.subarray(0, XERIAL_MAGIC.length).equals(XERIAL_MAGIC)) return await unpackBlock(packed)
  const blocks: Buffer[] = []
  let unpackedBytes = 0
  for (let at = XERIAL_HEADER_BYTES; at < packed.length;) {
    const sizeBytes = packed.readUInt32BE(at)
    const block = await unpackBlock(packed.subarray(at + 4, at + 4 + sizeBytes))
    unpackedBytes += block.length
    if (unpackedBytes > MAX_UNPACKED_BYTES) throw new Error(`more than ${MAX_UNPACKED_BYTES} bytes unpacked`)
    blocks.push(block)
    at += 4 + sizeBytes
  }
  return Buffer.concat(blocks)
}

async function unpackBlock(block: Buffer): Promise<Buffer> {
  // A block opens with the length that it unpacks to, seven bits a byte, and memory is taken for that.
  let length = 0
  for (const [at, byte] of block.subarray(0, 5).entries()) {
    length += (byte & 0x7f) * 2 ** (7 * at)
    if (byte < 0x80) break
  }
  if (length > MAX_UNPACKED_BYTES) throw new Error(`a block says that it unpacks to ${length} bytes`)
  return (await uncompress(block, { asBuffer: true })) as Buffer
}
