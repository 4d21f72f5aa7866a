/**
 * Kafka's default partitioner, so that a key keeps its partition when a deployment moves between the embedded log and
 * Kafka: murmur2 (Austin Appleby, 32 bit) with Kafka's seed, then the remainder of its low 31 bits.
 */
export function partitionOf(key: Buffer, partitions: number): number {
  return (murmur2(key) & 0x7fffffff) % partitions
}

const SEED = 0x9747b28c
const MIX = 0x5bd1e995

/** The signed 32-bit hash. */
export function murmur2(data: Buffer): number {
  const tail = data.length & ~3
  let hash = SEED ^ data.length
  for (let index = 0; index < tail; index += 4) {
    let word = Math.imul(data.readInt32LE(index), MIX)
    word = Math.imul(word ^ (word >>> 24), MIX)
    hash = Math.imul(hash, MIX) ^ word
  }
  if (tail < data.length) {
    for (let index = data.length - 1; index >= tail; index--) hash ^= data[index]! << (8 * (index - tail))
    hash = Math.imul(hash, MIX)
  }
  hash = Math.imul(hash ^ (hash >>> 13), MIX)
  return hash ^ (hash >>> 15)
}
