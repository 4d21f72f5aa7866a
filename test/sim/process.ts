import type { Clock } from '@aquifer/runtime/clock'
import type { Batch, EventLog, Subscription } from '@aquifer/event-log/port'
import { failure, fire } from './faults.ts'
import type { Faults, Port } from './faults.ts'
import type { VirtualTime } from './virtual-time.ts'

/**
 * One process of a service: everything that it calls goes through here, so that it can be killed, or stand still.
 *
 *  P1  Nothing answers a dead process. What it had sent may still take effect, soon or late.
 *  P2  A process that stands still goes on later as if nothing had been: what it then writes is a zombie's.
 *  P3  The broker takes its partitions away some time after it fell silent; it learns of that later than the broker does.
 */
export interface Process {
  readonly name: string
  readonly clock: Clock
  /** The port as this process reaches it. */
  through<T extends object>(port: Port, target: T): T
  throughLog(log: EventLog): EventLog
  isDead(): boolean
  kill(): void
  /** Stands still for so long. */
  freeze(forMs: number): void
}

/** How long the broker waits for a sign of life. */
const SESSION_MS = 6_000
const HEARTBEAT_MS = 2_000

export function createProcess(name: string, time: VirtualTime, faults: Faults): Process {
  const { random } = time
  const members = new Set<Member>()
  let dead = false
  let frozenUntil = 0

  /** Runs it in the process, when it can run. */
  function inside(run: () => void): void {
    if (dead) return
    if (frozenUntil > time.now()) time.at(frozenUntil, () => inside(run))
    else run()
  }

  function call<T>(port: Port, method: string, operation: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (dead) return
      const { outcome, thereMs, backMs, lateMs } = faults.treat(port, method)
      const answer = (settle: () => void): void => {
        if (backMs === 0) inside(settle)
        else time.after(backMs, () => inside(settle))
      }
      const fail = (): void => answer(() => reject(failure(port, method)))
      time.after(thereMs, () => {
        // What was on its way when the process died arrives, or does not. A blob that is not sent to its end is not stored.
        if (dead && (port === 'blobs' || random() < 0.5)) return
        if (outcome === 'late') time.after(lateMs, () => void operation().catch(() => {}))
        if (outcome === 'late' || outcome === 'refused') return fail()
        operation().then(
          (value) => {
            time.trace(`${name} ${port}.${method}`)
            if (outcome === 'lost') fail()
            else answer(() => resolve(value))
          },
          (error: unknown) => {
            time.trace(`${name} ${port}.${method} rejects: ${String(error)}`)
            answer(() => reject(error))
          },
        )
      })
    })
  }

  function through<T extends object>(port: Port, target: T): T {
    const methods = Object.entries(target).filter(([, member]) => typeof member === 'function')
    const wrapped = methods.map(([method, member]) => {
      const operation = member as (...args: unknown[]) => Promise<unknown>
      return [method, (...args: unknown[]) => call(port, method, () => operation.apply(target, args))]
    })
    return { ...target, ...Object.fromEntries(wrapped) } as T
  }

  /** One subscription, which joins its group again when it was thrown out. */
  interface Member {
    /** The broker gives its partitions to others. */
    expel(): void
    join(): Promise<void>
  }

  const clock: Clock = {
    now: () => time.now(),
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (dead) return
        time.clock.sleep(ms, signal).then(
          () => inside(resolve),
          (error: unknown) => inside(() => reject(error)),
        )
      }),
  }

  return {
    name,
    clock,
    through,
    throughLog(log) {
      return {
        ...through('log', log),
        async subscribe(options, handler) {
          let subscription: Subscription | null = null
          const deliver = (batch: Batch): Promise<void> =>
            new Promise((resolve, reject) => {
              // The process hears of a loss with its next heartbeat.
              const heard = new AbortController()
              const hear = (): void =>
                void time.after(random() * HEARTBEAT_MS, () => inside(() => heard.abort(batch.signal.reason)))
              batch.signal.addEventListener('abort', hear, { once: true })
              const commit = (offset: number): Promise<void> =>
                call('log', `commit ${batch.topic}/${batch.partition}@${offset}`, () => batch.commit(offset))
              const handed = { ...batch, signal: heard.signal, commit }
              time.after(random() * 5, () => inside(() => void handler(handed).then(resolve, reject)))
            })
          const member: Member = {
            expel: () => void subscription?.stop({ deadlineMs: 0 }),
            join: async () => {
              subscription = await log.subscribe({ ...options, ...faults.batches() }, deliver)
            },
          }
          const never = new Promise<never>(() => {})
          if (dead) return await never
          members.add(member)
          await member.join()
          return {
            pause: () => subscription?.pause(),
            resume: () => subscription?.resume(),
            assignment: () => subscription?.assignment() ?? [],
            async stop(stopOptions) {
              members.delete(member)
              await subscription?.stop(stopOptions)
            },
          }
        },
      }
    },
    isDead: () => dead,
    kill() {
      dead = true
      fire(faults.fired, 'killed')
      time.trace(`${name} is killed`)
      time.after(random() * SESSION_MS, () => {
        for (const member of members) member.expel()
      })
    },
    freeze(forMs) {
      if (dead || frozenUntil > time.now()) return
      frozenUntil = time.now() + Math.round(forMs)
      fire(faults.fired, forMs > SESSION_MS ? 'zombie' : 'frozen')
      time.trace(`${name} stands still for ${forMs}`)
      if (forMs <= SESSION_MS) return
      const expelled = [...members]
      time.after(SESSION_MS, () => {
        for (const member of expelled) member.expel()
      })
      time.at(frozenUntil + random() * HEARTBEAT_MS, () =>
        inside(() => {
          for (const member of expelled) if (members.has(member)) void member.join()
        }),
      )
    },
  }
}
