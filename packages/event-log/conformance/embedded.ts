import { systemClock, type Clock } from '@aquifer/runtime/clock'
import type { EmbeddedEventLog } from '../src/log.ts'
import type { EventLog } from '../src/port.ts'

/** Real time that can be put forward, with pauses before a retry shortened so that suites need not sit them out. */
export function hastyClock(): Clock & { forwardMs: number } {
  return {
    forwardMs: 0,
    now() {
      return Date.now() + this.forwardMs
    },
    sleep: (ms, signal) => systemClock.sleep(ms < 20_000 ? ms / 20 : ms, signal),
  }
}

/** The harness's `clean` of a log that this process maintains itself. */
export function maintainAfter(clock: {
  forwardMs: number
}): (log: EventLog, afterMs: number) => Promise<void> {
  return async (log, afterMs) => {
    clock.forwardMs += afterMs
    await (log as EmbeddedEventLog).maintain()
  }
}
