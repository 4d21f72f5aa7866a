import { readConfig } from '@aquifer/runtime/config'
import { createLogger } from '@aquifer/runtime/logger'
import { startSystem } from '@aquifer/cli/system'

/**
 * A process that serves until it is told to stop, or until the write that KILL_AFTER names (`points:3` is the third write of
 * points), where it kills itself as `kill -9` would.
 */
/** Until it serves; the moments are counted from there. */
const STARTUP_MS = 300
const [write, count = '1'] = (process.env['KILL_AFTER'] ?? '').split(':')
let left = Number(count)

const afterMs = process.env['KILL_AFTER_MS']
if (afterMs !== undefined)
  setTimeout(() => process.kill(process.pid, 'SIGKILL'), STARTUP_MS + Number(afterMs))

const config = readConfig(process.env, process.cwd())
const system = await startSystem({
  config,
  logger: createLogger(config.logLevel, 'aquifer-test'),
  probe: (name) => {
    if (name === write && --left === 0) process.kill(process.pid, 'SIGKILL')
  },
})
console.log(`serving ${system.url}`)

process.on('SIGTERM', () => {
  system.stop().then(
    () => process.exit(0),
    (error: unknown) => {
      console.error(error)
      process.exit(1)
    },
  )
})
