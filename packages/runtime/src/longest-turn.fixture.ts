/**
 * The longest that a work held the event loop at once, in milliseconds of this thread's time on the CPU: what other programs of the
 * machine take does not count.
 */
export async function longestTurnMs(work: () => Promise<unknown>): Promise<number> {
  let longestMs = 0
  let before = process.threadCpuUsage()
  let next: NodeJS.Immediate
  const look = () => {
    const { user, system } = process.threadCpuUsage(before)
    longestMs = Math.max(longestMs, (user + system) / 1000)
    before = process.threadCpuUsage()
    next = setImmediate(look)
  }
  next = setImmediate(look)
  await work()
  // The last turn, too.
  await new Promise((resolve) => setImmediate(resolve))
  clearImmediate(next)
  return longestMs
}
