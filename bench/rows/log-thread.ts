import { once } from 'node:events'
import { parentPort, Worker } from 'node:worker_threads'

/**
 * A side of a comparison in a thread of its own, so that no two share an event loop. Its module calls `serve` with what it
 * opens; each task is answered before the next is sent.
 */
export interface SideThread<Task> {
  /** What the thread measured. */
  run(task: Task): Promise<number>
  close(): Promise<void>
}

export interface ServedSide<Task> {
  run(task: Task): Promise<number>
  close(): Promise<void>
}

type Answer = { readonly value: number } | { readonly error: unknown }

/** Resolves when the side is open. */
export async function startThread<Task>(module: URL, setup: unknown): Promise<SideThread<Task>> {
  const worker = new Worker(module, {
    workerData: setup,
    // kafkajs sets timers of times in the past.
    execArgv: [...process.execArgv, '--disable-warning=TimeoutNegativeWarning'],
  })
  const answered = async (): Promise<number> => {
    const [answer] = (await once(worker, 'message')) as [Answer]
    if ('error' in answer) throw answer.error
    return answer.value
  }
  await answered()
  return {
    run(task) {
      worker.postMessage({ task })
      return answered()
    },
    async close() {
      const ended = once(worker, 'exit')
      worker.postMessage('close')
      await ended
    },
  }
}

/** The thread's end of `startThread`. */
export function serve<Task>(opened: Promise<ServedSide<Task>>): void {
  const port = parentPort!
  const answer = async (work: Promise<number>): Promise<void> =>
    port.postMessage(await work.then((value): Answer => ({ value })).catch((error): Answer => ({ error })))
  void answer(opened.then(() => 0))
  port.on('message', (message: 'close' | { task: Task }) => {
    if (message !== 'close') void answer(opened.then(async (side) => await side.run(message.task)))
    else
      void opened
        .then(async (side) => await side.close())
        .catch(() => {})
        .finally(() => port.close())
  })
}
