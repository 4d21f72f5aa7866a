import { serveParser } from './parse-serve.ts'

await serveParser()
