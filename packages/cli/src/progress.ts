import type { WriteStream } from 'node:tty'
import { onInterrupt } from './terminal.ts'

/** How far a long command is: a bar with rate and time left on stderr where that is a terminal, nothing elsewhere. */
export interface Progress {
  /** `by` more are done. */
  advance(by?: number): void
  /** A line on stdout, above the bar. */
  print(line: string): void
  /** Takes the bar away. */
  end(): void
}

export interface ProgressOptions {
  /** What is done, such as `publishing`. */
  readonly label: string
  readonly total: number
  /** `MB` where `total` and what is done are bytes. */
  readonly unit?: 'MB'
  readonly stream?: WriteStream
  readonly now?: () => number
}

const REDRAW_EVERY_MS = 100
const BAR_CELLS = 24
const ERASE_LINE = '\r\u001B[K'

export function createProgress({
  label,
  total,
  unit,
  stream = process.stderr,
  now = () => performance.now(),
}: ProgressOptions): Progress {
  if (!stream.isTTY) return { advance: () => {}, print: (line) => console.log(line), end: () => {} }
  const startedAt = now()
  let done = 0
  let drawnAt = Number.NEGATIVE_INFINITY
  const erase = (): boolean => stream.write(ERASE_LINE)
  const draw = (): void => {
    drawnAt = now()
    const line = progressLine({ label, total, done, unit, elapsedMs: drawnAt - startedAt })
    stream.write(`${ERASE_LINE}${line.slice(0, Math.max(1, (stream.columns || 80) - 1))}`)
  }
  const release = onInterrupt(erase)
  draw()
  return {
    advance(by = 1) {
      done += by
      if (done >= total || now() - drawnAt >= REDRAW_EVERY_MS) draw()
    },
    print(line) {
      erase()
      console.log(line)
      draw()
    },
    end() {
      erase()
      release()
    },
  }
}

/** Rate and time left are of the whole way so far, and left out until something is done. */
export function progressLine({
  label,
  total,
  done,
  unit,
  elapsedMs,
}: {
  label: string
  total: number
  done: number
  unit?: 'MB' | undefined
  elapsedMs: number
}): string {
  const share = total === 0 ? 1 : Math.min(1, done / total)
  const full = Math.round(share * BAR_CELLS)
  const bar = '█'.repeat(full) + '░'.repeat(BAR_CELLS - full)
  const known = done > 0 && elapsedMs > 0
  const perSecond = (done / elapsedMs) * 1000
  const [suffix, size, count] = unit ? [` ${unit}`, 1e6, megabytes] : ['', 1, String]
  const pace = known
    ? `  ${(perSecond / size).toFixed(1)}${suffix}/s  ${clock((total - done) / perSecond)} left`
    : ''
  return `${label} ${bar} ${count(done)}/${count(total)}${suffix}  ${Math.floor(share * 100)} %${pace}`
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1)
}

function clock(seconds: number): string {
  const whole = Math.ceil(Math.max(0, seconds))
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60]
  const two = (number: number): string => String(number).padStart(2, '0')
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`
}
