import { parseDocument } from './parse.ts'
import { serveParser } from './parse-serve.ts'

/** The parser as it is, but for contents that stand in for one that misbehaves. */
await serveParser(async (input, ...rest) => {
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
    case 'asked to stop':
      for (const signal of ['SIGINT', 'SIGTERM']) process.kill(process.pid, signal)
      return await parseDocument(input, ...rest)
    case 'end the process':
      process.exit(3)
    default:
      return await parseDocument(input, ...rest)
  }
})
