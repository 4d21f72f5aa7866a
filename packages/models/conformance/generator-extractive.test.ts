import { createExtractiveGenerator } from '../src/extractive.ts'
import { createLexicalEmbedder } from '../src/lexical-embedder.ts'
import { generatorConformance } from './generator.ts'

generatorConformance({
  name: 'extractive',
  open: async () => createExtractiveGenerator({ embedder: createLexicalEmbedder() }),
})
