import parseTask from './parse-worker.ts'
import type { ParseReply } from './parse-worker.ts'
import type { ParseInput } from './parse.ts'

/** The worker as it is, but for contents that stand in for a parser that misbehaves. */
export default async function task(input: ParseInput): Promise<ParseReply> {
  const hoard: unknown[] = []
  switch (Buffer.from(input.bytes).toString()) {
    case 'hang':
      for (;;);
    case 'fill the heap':
      for (;;) hoard.push(Array.from({ length: 1000 }, (_, i) => `${i} ${hoard.length}`))
    case 'fill buffers':
      for (;;) hoard.push(Buffer.alloc(1 << 20, 1))
    case 'throw':
      throw new TypeError('a defect of a parser')
    default:
      return parseTask(input)
  }
}
