import { readConfig } from '@aquifer/runtime/config'
import { createLogger } from '@aquifer/runtime/logger'
import { SERVICES } from '@aquifer/cli/services'
import { startSystem } from '@aquifer/cli/system'
import type { Told } from './service.ts'

/**
 * Some services in a process of their own, on the configuration of its environment. It dies with the process that started it. Told to, it
 * kills itself as `kill -9` would, right after a write.
 */
let armed: Told | null = null
process.on('message', (told: Told) => (armed = told))
process.once('disconnect', () => process.kill(process.pid, 'SIGKILL'))

const config = readConfig(process.env, process.cwd())
const system = await startSystem({
  config,
  logger: createLogger(config.logLevel, process.argv[2]!),
  services: SERVICES.filter((name) => process.argv.slice(3).includes(name)),
  tuning: { sweepEveryMs: 1500, maxPartBytes: 2500 },
  probe: (name) => {
    if (armed?.killAfter === name && --armed.count === 0) process.kill(process.pid, 'SIGKILL')
  },
})
process.send!({ url: system.url })

process.on('SIGTERM', () => {
  system.stop().then(
    () => process.exit(0),
    (error: unknown) => {
      console.error(error)
      process.exit(1)
    },
  )
})
