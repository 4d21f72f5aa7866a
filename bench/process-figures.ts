import { readdirSync, readFileSync } from 'node:fs'
import { request } from '@aquifer/test/server'

/** Resident memory of a process and all its children, now and at each one's highest, in MiB. Linux. */
export function memoryMiB(pid: number): { resident: number; peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const read = (field: string) =>
    Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0) / 1024
  const total = { resident: read('VmRSS'), peak: read('VmHWM') }
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    const children = readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean)
    for (const child of children) {
      const own = memoryMiB(Number(child))
      total.resident += own.resident
      total.peak += own.peak
    }
  }
  return total
}

/** Seconds of CPU that each thread of a process has used, by thread id. Linux, whose clock ticks 100 times a second. */
export function cpuByThread(pid: number): Map<string, { name: string; seconds: number }> {
  return new Map(
    readdirSync(`/proc/${pid}/task`).map((task) => {
      const stat = readFileSync(`/proc/${pid}/task/${task}/stat`, 'utf8')
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      const name = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'))
      return [task, { name, seconds: (Number(fields[11]) + Number(fields[12])) / 100 }]
    }),
  )
}

/** CPU since `before`: in all, and by the threads' names, one figure for each that worked, the most first. */
export function cpuSince(
  pid: number,
  before: ReturnType<typeof cpuByThread>,
): { cpu: string; cpuSeconds: number } {
  const byName = new Map<string, number[]>()
  for (const [task, { name, seconds }] of cpuByThread(pid)) {
    const own = seconds - (before.get(task)?.seconds ?? 0)
    byName.set(name, [...(byName.get(name) ?? []), own])
  }
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)
  const named = [...byName].sort(([, a], [, b]) => sum(b) - sum(a)).filter(([, own]) => sum(own) >= 0.1)
  const shown = (own: readonly number[]) =>
    own
      .filter((each) => each >= 0.1)
      .sort((a, b) => b - a)
      .map((each) => each.toFixed(1))
      .join('+')
  return {
    cpu: named.map(([name, own]) => `${name} ${shown(own) || sum(own).toFixed(1)}`).join(', '),
    cpuSeconds: sum([...byName.values()].flat()),
  }
}

export async function scrape(server: { url: string }): Promise<string> {
  return (await request<string>(server, 'GET', '/metrics')).body
}

/** One value of a scrape; 0 where it is not there. */
export function metric(text: string, name: string, labels: Record<string, string> = {}): number {
  const line = text
    .split('\n')
    .find(
      (each) =>
        (each.startsWith(`${name}{`) || each.startsWith(`${name} `)) &&
        Object.entries(labels).every(([label, value]) => each.includes(`${label}="${value}"`)),
    )
  return line === undefined ? 0 : Number(line.slice(line.lastIndexOf(' ') + 1))
}
