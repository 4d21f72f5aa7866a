import { randomUUID } from 'node:crypto'
import type { Clock } from '@aquifer/runtime/clock'
import { createTurns } from '@aquifer/runtime/concurrency'
import type { Turns } from '@aquifer/runtime/concurrency'
import { unavailable } from '@aquifer/runtime/errors'
import { script } from './redis.ts'
import type { RedisConnection } from './redis.ts'

/** A holder that dies blocks its key for so long; one that goes on renews well before. */
const HELD_MS = 5000
const RENEW_MS = HELD_MS / 3
/** Longer than a dead holder blocks. */
const WAIT_MS = 10_000
const MIN_PAUSE_MS = 5
const MAX_PAUSE_MS = 100

/** Only the holder's own token is renewed or given back. */
const RENEW = script(`
  if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
  return redis.call('PEXPIRE', KEYS[1], ARGV[2])`)
const RELEASE = script(`
  if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
  return redis.call('DEL', KEYS[1])`)

/**
 * Turns among all processes that share a Redis; within one they are taken in the order in which they were handed in, so that
 * one process at most asks for a key on behalf of many. Rejects with `state_unavailable` where a turn cannot be had in time.
 *
 * A fail-over, or a holder that was stopped for longer than its turn, can let two have a turn at once, until the first one finds out and
 * its work's `lost` aborts. So this may keep work from being in vain, but nothing may rest on it alone: who may read a document is checked
 * again when its record is processed.
 */
export function createRedisTurns(
  redis: RedisConnection,
  { clock, random }: { clock: Clock; random: () => number },
): Turns {
  const user = redis.as('state_unavailable')
  const withinProcess = createTurns()

  async function take(place: string, token: string): Promise<void> {
    const deadlineMs = clock.now() + WAIT_MS
    for (let pauseMs = MIN_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS)) {
      const taken = await user.run(async (client) => await client.set(place, token, 'PX', HELD_MS, 'NX'))
      if (taken === 'OK') return
      if (clock.now() > deadlineMs) {
        throw unavailable(
          'state_unavailable',
          `another process has had this turn for over ${WAIT_MS} ms: ask again`,
        )
      }
      await clock.sleep(pauseMs * (0.5 + random()))
    }
  }

  async function keep(place: string, token: string, ended: AbortSignal, lose: () => void): Promise<void> {
    let heldUntilMs = clock.now() + HELD_MS
    while (!ended.aborted) {
      await clock.sleep(RENEW_MS, ended).catch(() => {})
      if (ended.aborted) return
      const askedMs = clock.now()
      // Before the server is asked: a process that was stopped for long does not go on with anything until then.
      if (askedMs >= heldUntilMs) lose()
      // The server may be back by the next time.
      const renewed = await user.script(RENEW, [place], [token, HELD_MS]).catch(() => null)
      if (renewed === 0) lose()
      if (renewed === 1) heldUntilMs = askedMs + HELD_MS
    }
  }

  return async (key, work) =>
    await withinProcess(key, async () => {
      const place = `${redis.prefix}:turn:${key}`
      const token = randomUUID()
      await take(place, token)
      const ended = new AbortController()
      const lost = new AbortController()
      const keeping = keep(place, token, ended.signal, () => lost.abort())
      try {
        return await work(lost.signal)
      } finally {
        ended.abort()
        await keeping
        // What cannot be given back expires.
        await user.script(RELEASE, [place], [token]).catch(() => {})
      }
    })
}
