import { createParsePool } from '@aquifer/connector/parse-pool'
import type { ParsePool } from '@aquifer/connector/parse-pool'
import { mapLimited } from '@aquifer/runtime/concurrency'
import { passageContext } from '@aquifer/text/passage'
import type { Bench } from '../comparison.ts'
import { readFolder } from '../data.ts'
import { mean, quantile } from '../statistics.ts'
import { IN_LINE, modelTokenizer, readable, toInput } from './parse-documents.ts'

const MEAN = 'inserted-sentence'
const P95 = 'inserted-sentence-p95'
/** Chunks that the sentence may cost a document. */
const LIMIT = 2
/** Chunks of a page with the sentence in it, at the mean. */
const ALL_AGAIN = 10.7
/** Of a document's text, without what stands above it: so far is near its start. */
const NEAR_START = 1500
const SMOKE_FILES = 20

const BOTH = { unit: 'chunks embedded a document', better: 'less' } as const

/** A text is embedded where the document's visible version has no chunk of the same title, headings and text: so many are new. */
export const inserted: Bench = {
  rows: [
    {
      ...BOTH,
      name: MEAN,
      title: `One sentence put near the start of each of 284 documents, mean (goal: ${LIMIT})`,
      goal: ALL_AGAIN / LIMIT,
      limit: 'The chunk that the sentence is in, and the next one where it moves a cut.',
    },
    {
      ...BOTH,
      name: P95,
      title: 'One sentence put near the start of each of 284 documents, p95',
      goal: 1,
      limit:
        'Cuts meet again at the next place that both packings prefer: in a long list or paragraph that takes some chunks.',
    },
  ],
  async open({ smoke, say }) {
    const pool = createParsePool({ tokenizerPath: await modelTokenizer() })
    const files = await readable(pool, readFolder('corpus_md').slice(0, smoke ? SMOKE_FILES : undefined), say)
    const known = await mapLimited(
      files,
      IN_LINE,
      async (file) => new Set(await passagesOf(pool, toInput(file))),
    )
    const versions = new Map<number, Promise<string[][]>>()
    /** The documents of a round, their sentence at another place in each. */
    const edited = (round: number): Promise<string[][]> => {
      const made =
        versions.get(round) ??
        mapLimited(files, IN_LINE, async (file) =>
          passagesOf(pool, { ...toInput(file), bytes: Buffer.from(insert(file.bytes.toString(), round)) }),
        )
      versions.set(round, made)
      return made
    }
    return {
      ours: {
        name: 'aquifer',
        async run(round) {
          const passages = await edited(round)
          const fresh = passages.map(
            (each, i) => new Set(each.filter((passage) => !known[i]!.has(passage))).size,
          )
          say(`  p99 ${quantile(fresh, 0.99)}, most ${Math.max(...fresh)}`)
          return { [MEAN]: mean(fresh), [P95]: quantile(fresh, 0.95) }
        },
      },
      peers: [
        {
          name: 'embedding it all again',
          run: async (round) => ({ [MEAN]: mean((await edited(round)).map(({ length }) => length)) }),
        },
        { name: 'the limit', run: async () => ({ [P95]: LIMIT }) },
      ],
      close: async () => await pool.close(),
    }
  },
}

/** What is embedded of each chunk. */
async function passagesOf(pool: ParsePool, input: ReturnType<typeof toInput>): Promise<string[]> {
  const { title, chunks } = await pool.parse(input)
  return chunks.map(({ headings, text }) => passageContext(title, headings) + text)
}

const SENTENCES = [
  'An editor added this sentence on a quiet afternoon.',
  'Note that none of this applies before version 7.',
  'See below.',
  'What follows was checked by three people, of whom one had never used it, and all of them came to the same result.',
  'This page was moved.',
]

/** The sentence between two others, or above the text where there are none near its start. */
function insert(source: string, round: number): string {
  const body = /^---\n[\s\S]*?\n---\n/u.exec(source)?.[0].length ?? 0
  const near = source.slice(body, body + NEAR_START)
  const places = Array.from(near.matchAll(/[a-z]\. (?=[A-Z])/gu), ({ index }) => body + index + 3)
  const sentence = SENTENCES[round % SENTENCES.length]!
  const at = places[round % Math.max(1, places.length)]
  return at === undefined
    ? `${source.slice(0, body)}${sentence}\n\n${source.slice(body)}`
    : `${source.slice(0, at)}${sentence} ${source.slice(at)}`
}
