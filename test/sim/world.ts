import { topics } from '@aquifer/contracts/topics'
import type { EventLog } from '@aquifer/event-log/port'
import type { Fact } from '../oracle/facts.ts'
import { createFaults, fire } from './faults.ts'
import type { Faults } from './faults.ts'
import { withLedger } from './ledger.ts'
import { createProcess } from './process.ts'
import type { Process } from './process.ts'
import { GROUPS, startConnector, startEdge, startEmbedder } from './services.ts'
import type { Consumer, Edge } from './services.ts'
import { createStores } from './stores.ts'
import type { Stores } from './stores.ts'
import { createVirtualTime } from './virtual-time.ts'
import type { VirtualTime } from './virtual-time.ts'

/** A fault in the system itself, put in to see that it is found. */
export interface Plant {
  readonly stores?: (stores: Stores) => Stores
  /** Where an operator's replay goes; over the door unless told. */
  readonly replayTo?: (origin: { topic: string }) => string
}

/** The whole system in one process, and the hands on it. */
export interface World {
  readonly time: VirtualTime
  readonly faults: Faults
  readonly stores: Stores
  readonly facts: Fact[]
  /** Without a ledger. */
  readonly brokerLog: EventLog
  readonly plant: Plant
  /** Some documents fail by themselves. */
  readonly isFaulty: boolean
  /** Running consumers; a killed one is replaced by `restart`. */
  readonly consumers: Replica[]
  edge(): Edge
  /** Kills the process, and starts another in its place after so long. */
  crash(replica: Replica, downMs: number): void
  /** Lets it end its work, then starts another. */
  roll(replica: Replica): void
  crashEdge(): void
  /** Everything that was appended for them is committed, and nobody is down. */
  isIdle(kind?: Replica['kind']): Promise<boolean>
}

export interface Replica {
  readonly kind: 'connector' | 'embedder'
  readonly number: number
  process: Process
  consumer: Consumer | null
}

const SOURCES = {
  connector: [topics.documents, topics.documentsBulk, topics.documentsRetry],
  embedder: [topics.chunks, topics.chunksBulk],
}
const START_PAUSE_MS = 500
const STOP_DEADLINE_MS = 40_000

export async function createWorld(
  seed: number,
  plant: Plant,
  print: ((line: string) => void) | null,
): Promise<World> {
  const time = createVirtualTime(seed, print)
  const faults = createFaults(time)
  const facts: Fact[] = []
  const raw = await createStores(time)
  const noted = { ...raw, log: withLedger(raw.log, facts, faults.fired) }
  const stores = plant.stores?.(noted) ?? noted
  let incarnations = 0
  let waiting = 0
  let edgeProcess = createProcess('edge', time, faults)
  let edge = startEdge(edgeProcess, stores, time)

  const newProcess = (name: string): Process => createProcess(`${name}#${++incarnations}`, time, faults)

  function start(replica: Replica): void {
    replica.process = newProcess(`${replica.kind}${replica.number}`)
    const starter = replica.kind === 'connector' ? startConnector : startEmbedder
    const consumer = starter(replica.process, stores, time)
    replica.consumer = consumer
    void consumer.start()
  }
  function startAfter(ms: number, replica: Replica): void {
    waiting++
    replica.consumer = null
    time.after(ms, () => {
      waiting--
      start(replica)
    })
  }
  function startDoor(): void {
    edgeProcess = newProcess('edge')
    edge = startEdge(edgeProcess, stores, time)
  }
  const consumers = (['connector', 'connector', 'embedder', 'embedder'] as const).map(
    (kind, number): Replica => {
      const replica = { kind, number, process: newProcess(kind), consumer: null }
      start(replica)
      return replica
    },
  )

  return {
    time,
    faults,
    stores,
    facts,
    brokerLog: raw.log,
    plant,
    isFaulty: time.random() < 0.6,
    consumers,
    edge: () => edge,
    crash(replica, downMs) {
      if (!replica.consumer) return
      replica.process.kill()
      startAfter(downMs, replica)
    },
    roll(replica) {
      const { consumer, process } = replica
      if (!consumer) return
      fire(faults.fired, 'rolling restart')
      time.trace(`${process.name} is asked to stop`)
      waiting++
      replica.consumer = null
      const stopped = consumer.stop()
      let ended = false
      const end = (): void => {
        if (ended) return
        ended = true
        process.kill()
        waiting--
        startAfter(START_PAUSE_MS, replica)
      }
      void stopped.then(end)
      // As an orchestrator does: who does not end in time is killed.
      time.after(STOP_DEADLINE_MS, end)
    },
    crashEdge() {
      edgeProcess.kill()
      startDoor()
    },
    async isIdle(kind) {
      if (waiting > 0) return false
      const kinds = kind ? [kind] : (['connector', 'embedder'] as const)
      const lags = kinds.flatMap((each) =>
        SOURCES[each].map(async ({ name }) => await raw.log.lag(GROUPS[each], name)),
      )
      return (await Promise.all(lags)).every((lag) => lag === 0)
    },
  }
}
