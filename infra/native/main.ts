import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { closeSync, mkdirSync, openSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { S3_CREDENTIALS } from './s3.ts'
import { PART_NAMES, answers, isAlive, isSupervised, readState, within } from './state.ts'
import type { NativeState, PartName, PartState, Plan } from './state.ts'

const HELP = `native: Kafka, Redis and Qdrant on loopback, for one machine and no Docker

  node infra/native/main.ts up      starts them and prints the variables that make Aquifer use them:
                                    eval "$(node infra/native/main.ts up)"
  node infra/native/main.ts status  what runs: label, address, pid
  node infra/native/main.ts down    stops them; the data stays

  --parts <names>          which ones, of ${PART_NAMES.join(', ')} (default kafka,redis,qdrant)
  --<part>-port <port>     instead of kafka 19092, redis 16379, qdrant 16333, s3 19000
  --purge                  with down: remove the data too
  --json                   print JSON
  --help

Data, logs and state lie in .aquifer/native of the working directory.
Exit status: 0 done; 1 failed, or with status not all answer; 2 a wrong command.`

/** Off the usual ports, so that a system's own service is neither in the way nor taken for ours. */
const DEFAULT_PORTS: Readonly<Record<PartName, number>> = {
  kafka: 19_092,
  redis: 16_379,
  qdrant: 16_333,
  s3: 19_000,
}
/** The first start downloads what is missing. */
const UP_TIMEOUT_MS = 10 * 60_000
/** The supervisor gives each part 15 s before it kills it. */
const DOWN_TIMEOUT_MS = 70_000
const KILL_TIMEOUT_MS = 10_000

const dir = resolve('.aquifer/native')
const log = join(dir, 'supervisor.log')

class Misuse extends Error {}
class Failure extends Error {}

try {
  const { values, positionals } = readArguments()
  const [command, ...rest] = positionals
  if (values.help) console.log(HELP)
  else if (rest.length > 0) throw new Misuse(`${rest.join(' ')}: only one command is taken`)
  else if (command === 'up') await up(planOf(values), values.json)
  else if (command === 'down') await down(values.purge, values.json)
  else if (command === 'status') await status(values.json)
  else
    throw new Misuse(command === undefined ? 'up, down or status?' : `${command} is none of up, down, status`)
} catch (error) {
  if (!(error instanceof Misuse || error instanceof Failure)) throw error
  console.error(error instanceof Misuse ? `native: ${error.message}\n\n${HELP}` : `native: ${error.message}`)
  process.exitCode = error instanceof Misuse ? 2 : 1
}

type Values = ReturnType<typeof readArguments>['values']

function readArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        parts: { type: 'string', default: 'kafka,redis,qdrant' },
        'kafka-port': { type: 'string' },
        'redis-port': { type: 'string' },
        'qdrant-port': { type: 'string' },
        's3-port': { type: 'string' },
        purge: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
  } catch (error) {
    throw new Misuse((error as Error).message)
  }
}

function planOf(values: Values): Plan[] {
  return values.parts.split(',').map((given) => {
    const name = PART_NAMES.find((known) => known === given.trim())
    if (!name) throw new Misuse(`--parts ${values.parts}: ${given} is none of ${PART_NAMES.join(', ')}`)
    const text = values[`${name}-port`] ?? String(DEFAULT_PORTS[name])
    const port = Number(text)
    if (!/^\d+$/.test(text) || port < 1 || port > 65_535)
      throw new Misuse(`--${name}-port ${text} is no port (1 to 65535)`)
    return { name, port }
  })
}

async function up(plan: readonly Plan[], json: boolean): Promise<void> {
  const names = plan.map(({ name }) => name)
  mkdirSync(dir, { recursive: true })
  const supervisor = isSupervised(dir) ? null : await startSupervisor(plan)
  console.error(supervisor ? `starting ${names.join(', ')} (log: ${log})` : `a supervisor runs (log: ${log})`)
  const told = new Set<string>()
  const isUp = await within(UP_TIMEOUT_MS, async () => {
    const state = readState(dir)
    if (state?.phase === 'failed') throw new Failure(state.message)
    if (state ? !isAlive(state.supervisorPid) : supervisor ? hasEnded(supervisor) : !isSupervised(dir))
      throw new Failure(`the supervisor ended; see ${log}`)
    for (const part of state?.parts ?? []) {
      if (told.has(part.name) || !(await answers(part.url))) continue
      told.add(part.name)
      console.error(describe(part, true))
    }
    return state?.phase === 'running' && state.parts.every(({ name }) => told.has(name))
  })
  const state = readState(dir)
  if (!isUp || !state) throw new Failure(`not all answer after ${UP_TIMEOUT_MS / 1000} s; see ${log}`)
  const lacking = names.filter((name) => !told.has(name))
  if (lacking.length > 0)
    throw new Failure(
      `it runs without ${lacking.join(', ')}: stop it with down, then start all that you want`,
    )
  if (json) console.log(JSON.stringify({ parts: state.parts, env: environment(state) }))
  else
    for (const [name, value] of Object.entries(environment(state))) console.log(`export ${name}='${value}'`)
}

/** Detached, so that the parts outlive this command. Throws where a port is taken, before anything is started. */
async function startSupervisor(plan: readonly Plan[]): Promise<ChildProcess> {
  for (const { name, port } of plan)
    if (await answers(`tcp://127.0.0.1:${port}`))
      throw new Failure(`port ${port} is taken: free it, or choose another with --${name}-port`)
  rmSync(join(dir, 'state.json'), { force: true })
  const output = openSync(log, 'w')
  const script = fileURLToPath(new URL('supervisor.ts', import.meta.url))
  const child = spawn(process.execPath, [script, dir, JSON.stringify(plan)], {
    detached: true,
    stdio: ['ignore', output, output],
  })
  closeSync(output)
  child.unref()
  return child
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null
}

async function down(purge: boolean, json: boolean): Promise<void> {
  const state = readState(dir)
  const wasRunning = state !== null && isSupervised(dir)
  if (wasRunning) {
    const pids = [state.supervisorPid, ...state.parts.flatMap(({ pid }) => pid ?? [])]
    const areGone = () => pids.every((pid) => !isAlive(pid))
    process.kill(state.supervisorPid, 'SIGTERM')
    if (!(await within(DOWN_TIMEOUT_MS, areGone))) {
      for (const pid of pids.filter(isAlive)) process.kill(pid, 'SIGKILL')
      if (!(await within(KILL_TIMEOUT_MS, areGone)))
        throw new Failure(`these processes do not end: ${pids.filter(isAlive).join(', ')}`)
    }
  }
  rmSync(join(dir, 'state.json'), { force: true })
  if (purge) rmSync(dir, { recursive: true, force: true })
  if (json)
    console.log(
      JSON.stringify({ stopped: wasRunning ? state.parts.map(({ name }) => name) : [], purged: purge }),
    )
  else console.error(wasRunning ? 'stopped' : 'nothing was running')
}

async function status(json: boolean): Promise<void> {
  const state = isSupervised(dir) ? readState(dir) : null
  const parts = await Promise.all(
    (state?.parts ?? []).map(async (part) => ({ ...part, answers: await answers(part.url) })),
  )
  if (json)
    console.log(
      JSON.stringify({ phase: state?.phase ?? 'down', parts, env: state ? environment(state) : {} }),
    )
  else if (!state) console.log('nothing runs')
  else for (const part of parts) console.log(describe(part, part.answers))
  if (state?.phase !== 'running' || !parts.every((part) => part.answers)) process.exitCode = 1
}

function environment(state: NativeState): Record<string, string> {
  const urls = Object.fromEntries(state.parts.map(({ variable, url }) => [variable, url]))
  return state.parts.some(({ name }) => name === 's3') ? { ...urls, ...S3_CREDENTIALS } : urls
}

function describe({ name, url, pid, label }: PartState, isUp: boolean): string {
  return `${name.padEnd(6)}  ${isUp ? 'answers' : 'DOES NOT ANSWER'}  ${url}  pid ${pid ?? '(elsewhere)'}  ${label}`
}
