import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

/** Runs a script, kills it (SIGKILL) once it has written so many lines, and gives all that it wrote. */
export async function killedAfter(lines: number, script: string, args: readonly string[]): Promise<string[]> {
  const path = new URL(script, import.meta.url).pathname
  const child = spawn(process.execPath, [path, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const written: string[] = []
  for await (const line of createInterface({ input: child.stdout })) {
    written.push(line)
    if (written.length === lines) child.kill('SIGKILL')
  }
  await exited
  if (written.length < lines) throw new Error(`${script} ended after ${written.length} of ${lines} lines`)
  return written
}
