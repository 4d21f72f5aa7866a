import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Passage } from '@aquifer/models/embedder'

export interface EmbedderAlone {
  readonly pid: number
  /** Seconds that the passages take, as documents' are embedded. */
  measure(passages: Passage[]): Promise<number>
  close(): Promise<void>
}

/** The embedder of a URL in a process of its own, under the settings of V8 and the C library that a server has. */
export async function openEmbedderAlone(
  url: string,
  dataDir: string,
  env: NodeJS.ProcessEnv = {},
): Promise<EmbedderAlone> {
  const module = fileURLToPath(new URL('embedder-alone-child.ts', import.meta.url))
  const child = fork(module, [url, dataDir], {
    execArgv: ['--max-semi-space-size=8'],
    env: { ...process.env, ...env, MALLOC_ARENA_MAX: '2' },
    serialization: 'advanced',
  })
  const gone = once(child, 'exit')
  const next = async (): Promise<unknown> => {
    const [answer] = await Promise.race([
      once(child, 'message'),
      gone.then(([code]) => Promise.reject(new Error(`the embedder's process ended with ${code}`))),
    ])
    return answer
  }
  await next()
  return {
    pid: child.pid!,
    async measure(passages) {
      child.send(passages)
      return (await next()) as number
    },
    async close() {
      child.disconnect()
      await gone
    },
  }
}
