import { createMemoryDisk, createMemoryEventLog } from '../src/adapters/memory.ts'
import { hastyClock, maintainAfter } from './embedded.ts'
import { eventLogConformance } from './suite.ts'

eventLogConformance('memory', async () => {
  const clock = hastyClock()
  const disk = createMemoryDisk()
  const open = async () => createMemoryEventLog({ clock, disk, maintainEveryMs: null })
  return {
    open,
    async reopen(log) {
      await log.close()
      return await open()
    },
    clean: maintainAfter(clock),
    deadlineMs: 10_000,
    close: (log) => log.close(),
  }
})
