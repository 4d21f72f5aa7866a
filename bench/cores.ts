import { execFileSync } from 'node:child_process'
import { availableParallelism } from 'node:os'

/** Which cores the sides of a comparison have, and which all that stands around them has: what makes their load, and a broker. */
export interface Cores {
  /** How many the sides have. */
  readonly count: number
  /** Gives a process, its threads and what they will start the sides' cores. */
  give(pid: number): void
  /** Gives this process all cores back. */
  close(): void
}

/**
 * Keeps the last core for this process and what it starts from now on. Without `taskset` (Linux has it), or on one core, everybody has
 * all of them.
 */
export function apart(say: (line: string) => void): Cores {
  const all = availableParallelism()
  const everywhere: Cores = { count: all, give: () => {}, close: () => {} }
  if (all === 1) return everywhere
  const pin = (pid: number, cores: string): void =>
    void execFileSync('taskset', ['--all-tasks', '--cpu-list', '--pid', cores, String(pid)], {
      stdio: 'ignore',
    })
  try {
    pin(process.pid, String(all - 1))
  } catch {
    say('  taskset is not there: the sides share their cores with the broker')
    return everywhere
  }
  return {
    count: all - 1,
    give: (pid) => pin(pid, `0-${all - 2}`),
    close: () => pin(process.pid, `0-${all - 1}`),
  }
}
