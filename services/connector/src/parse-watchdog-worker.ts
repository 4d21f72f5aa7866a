import { workerData } from 'node:worker_threads'

/** Looks after the parser's process from a thread of its own, since a document may keep the parser's busy for ever. */
const maxResidentBytes = workerData as number
const parent = process.ppid

setInterval(() => {
  if (process.memoryUsage.rss() > maxResidentBytes || process.ppid !== parent)
    process.kill(process.pid, 'SIGKILL')
}, 50)
