import { createLexicalEmbedder } from '../src/lexical-embedder.ts'
import { embedderConformance } from './embedder.ts'

embedderConformance({
  name: 'lexical',
  open: async () => createLexicalEmbedder(),
  noise: 0,
  skip: {
    'M2: the caller’s thread does not compute':
      'hashing 2,048 characters takes well under a millisecond, and it yields after each passage',
  },
})
