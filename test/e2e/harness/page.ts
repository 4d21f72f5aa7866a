import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const MAIN = join(ROOT, 'packages/cli/src/main.ts')
const BLOCK_TIMEOUT_MS = 120_000

/** A fenced block of commands, and the block of text that says what they print. */
export interface Block {
  /** After `sh`: `serve` goes on while the others run, and ends the one before; `kafka` needs a broker. */
  readonly marks: readonly string[]
  readonly line: number
  readonly commands: string
  readonly prints: string | null
}

export function blocksOf(page: string): Block[] {
  const fences = [...page.matchAll(/^```(\w+)([\w ]*)\n([^]*?)^```$/gm)]
  return fences.flatMap((fence, at) => {
    if (fence[1] !== 'sh') return []
    const next = fences[at + 1]
    const line = page.slice(0, fence.index).split('\n').length
    const prints = next?.[1] === 'text' ? next[3]! : null
    return [{ marks: fence[2]!.split(' ').filter(Boolean), line, commands: fence[3]!, prints }]
  })
}

/** The lines of `prints` come in this order; `…` and white space stand for anything, and a line may have more around it. */
export function missingLine(prints: string, output: string): string | null {
  let rest = output
  for (const line of prints.split('\n').filter((each) => each.trim() !== '')) {
    const parts = line
      .trim()
      .split(/\s*…\s*|\s+/)
      .filter(Boolean)
    const found = new RegExp(
      parts.map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('[^]*?'),
    ).exec(rest)
    if (!found) return line
    rest = rest.slice(found.index + found[0].length)
  }
  return null
}

export interface Shell {
  /** Runs the commands of one block; throws with what they printed where they fail. */
  run(block: Block): Promise<string>
  close(): Promise<void>
}

export interface ShellOptions {
  /** A new folder in which the commands run. */
  readonly dir: string
  readonly port: number
  /** What the page says, and what stands for it here: addresses alone. */
  readonly addresses: Readonly<Record<string, string>>
  readonly env: Readonly<Record<string, string>>
}

/**
 * Runs the commands as a reader would in the repository's folder, with three things in place of what a reader has: `npx -y pnpm@12`
 * runs the scripts `start` and `aquifer` of this checkout, Kafka's tools come from its jars, and addresses are those of free ports.
 */
export function openShell({ dir, port, addresses, env }: ShellOptions): Shell {
  mkdirSync(join(dir, 'bin'), { recursive: true })
  mkdirSync(join(dir, 'work'))
  symlinkSync(join(ROOT, 'samples'), join(dir, 'work', 'samples'))
  writeTool(join(dir, 'bin', 'npx'), NPX)
  writeTool(join(dir, 'bin', 'kafka-console-producer.sh'), PRODUCER)
  let server: ChildProcess | null = null
  const replaced = (commands: string): string =>
    Object.entries(addresses).reduce((text, [from, to]) => text.replaceAll(from, to), commands)
  const start = (block: Block): ChildProcess =>
    spawn('bash', ['-euo', 'pipefail', '-c', replaced(block.commands)], {
      cwd: join(dir, 'work'),
      env: {
        ...process.env,
        PATH: [join(dir, 'bin'), dirname(process.execPath), process.env['PATH']].join(delimiter),
        AQUIFER_DATA_DIR: join(dir, 'data'),
        AQUIFER_PORT: String(port),
        AQUIFER_URL: `http://127.0.0.1:${port}`,
        AQUIFER_LOG_LEVEL: 'warn',
        AQUIFER_EMBEDDER: 'lexical:',
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })

  async function stopServer(): Promise<void> {
    if (server && server.exitCode === null) {
      const gone = once(server, 'exit')
      process.kill(-server.pid!, 'SIGINT')
      await gone
    }
    server = null
  }

  return {
    async run(block) {
      const serves = block.marks.includes('serve')
      if (serves) await stopServer()
      const child = start(block)
      if (serves) server = child
      let [out, err] = ['', '']
      return await new Promise<string>((resolve, reject) => {
        const failed = (why: string): void =>
          reject(new Error(`line ${block.line} ${why}:\n${block.commands}\n${out}\n${err}`))
        const timer = setTimeout(() => {
          process.kill(-child.pid!, 'SIGKILL')
          failed(`was not through after ${BLOCK_TIMEOUT_MS} ms`)
        }, BLOCK_TIMEOUT_MS)
        child.stderr!.on('data', (data: Buffer) => (err += data.toString()))
        child.stdout!.on('data', (data: Buffer) => {
          out += data.toString()
          if (!serves || !out.includes('Aquifer serves on')) return
          clearTimeout(timer)
          resolve(out)
        })
        child.once('close', (code) => {
          clearTimeout(timer)
          if (code === 0) resolve(out)
          else failed(`ended with ${code}`)
        })
      })
    },
    close: stopServer,
  }
}

const NPX = `[ "$1 $2" = "-y pnpm@12" ] || exit 64
shift 2
if [ "$1" = --silent ]; then shift; fi
case "$1" in
  start) exec node ${MAIN} "$@" ;;
  aquifer) shift; exec node ${MAIN} "$@" ;;
  *) exit 64 ;;
esac`
const PRODUCER = `exec java -cp "$KAFKA_LIBS/*" org.apache.kafka.tools.ConsoleProducer "$@"`

function writeTool(path: string, script: string): void {
  writeFileSync(path, `#!/bin/bash\n${script}\n`)
  chmodSync(path, 0o755)
}

export function readPage(name: string): string {
  return readFileSync(join(ROOT, 'docs', name), 'utf8')
}
