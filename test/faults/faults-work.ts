import type { Asked, Fate } from './gate.ts'
import type { Fault, Stage } from './run-fault.ts'
import { addPartitions } from './broker-records.ts'
import { within } from './wait.ts'
import { PARTITIONS } from './world.ts'
import type { World } from './world.ts'

const LIMIT_MS = 60_000
const MORE_PARTITIONS = 7

/** Asks for embeddings are put to the model with `/embeddings`; of documents, not of questions, by embedders. */
const isEmbedding = ({ who, path }: Asked): boolean =>
  who.startsWith('embedder') && path.endsWith('/embeddings')

/** Holds the next batch of an embedder until it is told to go on. Resolves to the embedder's name. */
function holdBatch({ model }: World): { held: Promise<string>; goOn: () => void } {
  const held = Promise.withResolvers<string>()
  const goOn = Promise.withResolvers<void>()
  let isHeld = false
  model.fate = async (asked): Promise<Fate> => {
    if (isHeld || !isEmbedding(asked)) return 'serve'
    isHeld = true
    held.resolve(asked.who)
    await goOn.promise
    return 'serve'
  }
  return {
    held: within(LIMIT_MS, 'an embedder has a batch', held.promise),
    goOn() {
      model.fate = () => 'serve'
      goOn.resolve()
    },
  }
}

/** Everything asked of the model, or of the index, meets that fate while some publications are tried; then it works again. */
const whileFailing =
  (of: 'model' | 'indexGate', fate: (asked: Asked, random: () => number) => Fate) =>
  async ({ world, load, random }: Stage): Promise<void> => {
    let met = 0
    world[of].fate = (asked) => {
      const drawn = fate(asked, random)
      if (drawn !== 'serve') met++
      return drawn
    }
    await load.aWhile()
    world[of].fate = () => 'serve'
    if (met === 0) throw new Error('nothing was asked while it failed')
  }

export const atWork: readonly Fault[] = [
  {
    name: 'replica-killed-mid-batch',
    about:
      'kill -9 of a connector and of an embedder in the midst of their batches; neither comes back before the others have taken over',
    async run({ world, load, recover }) {
      const { held, goOn } = holdBatch(world)
      world.services.get('connector-1')!.arm({ killAfter: 'source', count: 1 })
      await within(LIMIT_MS, 'connector-1 dies', world.services.get('connector-1')!.gone)
      const embedder = await held
      await world.services.get(embedder)!.end('SIGKILL')
      load.leaveRecent()
      goOn()
      await recover()
      await Promise.all([world.start('connector-1'), world.start(embedder)])
    },
  },
  {
    name: 'partition-reassigned-mid-embed',
    about: 'a third embedder joins, and later one leaves, while the model holds a batch of another',
    async run({ world, load }) {
      const first = holdBatch(world)
      const holder = await first.held
      await world.start('embedder-3')
      await load.aWhile()
      first.goOn()
      await load.aWhile()
      const second = holdBatch(world)
      await second.held
      const leaving = world.services.get(holder)!.end('SIGTERM')
      await load.aWhile()
      second.goOn()
      await leaving
    },
  },
  {
    name: 'partitions-added-and-foreign-hash',
    about: `${PARTITIONS} partitions become ${MORE_PARTITIONS} while all runs, and a producer that hashes by CRC32 writes the same keys elsewhere`,
    async run({ world, load }) {
      load.foreign.hashByCrc32()
      await load.aWhile()
      const topics = ['aquifer.documents', 'aquifer.documents.bulk', 'aquifer.chunks', 'aquifer.chunks.bulk']
      await addPartitions(world.kafka.bootstrap, topics, PARTITIONS, MORE_PARTITIONS)
      await load.aWhile()
    },
  },
  {
    name: 'index-5xx',
    about: 'the index answers 500, 502 and 503, to a third of the requests after their effect',
    run: async (stage) => {
      const { world, random } = stage
      await whileFailing('indexGate', (asked) => {
        const draw = random()
        if (draw < 0.3) world.indexGate.passOn(asked)
        return draw < 0.9 ? [500, 502, 503][Math.floor(random() * 3)]! : 'serve'
      })(stage)
    },
  },
  {
    name: 'index-timeouts',
    about: 'the index takes requests, carries out half of them, and never answers',
    run: async (stage) => {
      const { world, random } = stage
      await whileFailing('indexGate', (asked) => {
        if (random() < 0.5) world.indexGate.passOn(asked)
        return 'hang'
      })(stage)
    },
  },
  {
    name: 'index-refuses',
    about: 'connections to the index are cut, then refused',
    async run({ world, load }) {
      world.indexGate.fate = () => 'cut'
      await load.aWhile()
      await world.indexGate.refuse()
      await load.aWhile()
      world.indexGate.fate = () => 'serve'
      await world.indexGate.accept()
    },
  },
  {
    name: 'embedder-429',
    about: 'the embedding server answers 429 with Retry-After',
    run: whileFailing('model', () => 429),
  },
  {
    name: 'embedder-hang',
    about: 'the embedding server takes requests and never answers',
    run: whileFailing('model', () => 'hang'),
  },
]
