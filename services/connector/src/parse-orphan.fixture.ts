import { createParsePool } from './parse-pool.ts'

/** A process that has begun to read a document which takes for ever. */
const pool = createParsePool({
  tokenizerPath: null,
  workerFile: new URL('./parse-worker.fixture.ts', import.meta.url),
})
const file = { contentType: 'text/plain', filename: null, title: null }
await pool.parse({ ...file, bytes: Buffer.from('good') })
void pool.parse({ ...file, bytes: Buffer.from('hang') })
process.stdout.write('reading\n')
