import pino from 'pino'
import type { Logger } from 'pino'

export type { Logger }

/** Structured logs on stderr, so that stdout stays a command's own. Keys and document texts never go in. */
export function createLogger(level: string, name: string): Logger {
  return pino({ level, name, base: { name } }, pino.destination({ dest: 2, sync: false }))
}
