import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSqliteEventLog } from '../src/adapters/sqlite.ts'
import { hastyClock, maintainAfter } from './embedded.ts'
import { eventLogConformance } from './suite.ts'

eventLogConformance('sqlite', async () => {
  const clock = hastyClock()
  const directory = mkdtempSync(join(tmpdir(), 'event-log-'))
  const open = async () =>
    createSqliteEventLog({ path: join(directory, 'log.db'), clock, maintainEveryMs: null })
  return {
    open,
    async reopen(log) {
      await log.close()
      return await open()
    },
    clean: maintainAfter(clock),
    deadlineMs: 20_000,
    async close(log) {
      await log.close()
      rmSync(directory, { recursive: true })
    },
  }
})
