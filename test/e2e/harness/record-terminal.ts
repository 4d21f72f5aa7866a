/**
 * Records docs/terminal.md: real commands on a real terminal, on the lexical embedder, against servers of which the first one has
 * a limit that a document fails by. Run it with `node test/e2e/harness/record-terminal.ts`.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { newDataDir, removeDataDir, startServer } from './server.ts'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const MAIN = join(ROOT, 'packages/cli/src/main.ts')

/** What stands on the terminal afterwards; of a bar, which is drawn over and taken away, the last frame. */
function settled(shown: string): string {
  const erase = '\r\u001B[K'
  const lines = shown.replaceAll('\r\n', '\n').split('\n')
  const bars = lines.map((line) => line.split(erase).findLast((frame) => frame.includes('█')))
  const last = bars.findLastIndex((bar) => bar !== undefined)
  return lines
    .flatMap((line, at) => [...(at === last ? [bars[at]!] : []), line.split(erase).at(-1)!])
    .join('\n')
    .trimEnd()
}

async function record(url: string, dir: string, commands: readonly string[]): Promise<string[]> {
  const shown: string[] = []
  for (const command of commands) {
    const line = `stty cols 110; aquifer() { '${process.execPath}' '${MAIN}' "$@"; }; ${command}`
    const child = spawn('script', ['-qefc', line, '/dev/null'], {
      cwd: dir,
      env: { ...process.env, SHELL: '/bin/bash', AQUIFER_URL: url },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let out = ''
    child.stdout.setEncoding('utf8').on('data', (data: string) => (out += data))
    const [code] = (await once(child, 'close')) as [number]
    shown.push(`$ ${command}`, settled(out), ...(code === 0 ? [] : [`(exit code ${code})`]), '')
  }
  return shown
}

const dataDir = await newDataDir()
const work = join(dataDir, 'work')
mkdirSync(join(work, 'manuals'), { recursive: true })
copyFileSync(join(ROOT, 'samples/groundwater-guide.pdf'), join(work, 'guide.pdf'))
for (const [name, text] of [
  ['pump', '# Pump 7\n\n## Service\n\nPump 7 is serviced every nine weeks.\n'],
  ['valve', '# Valve A\n\nValve A is red and opens to the left.\n'],
  ['gate', '# Gate\n\nThe gate opens at six.\n'],
])
  writeFileSync(join(work, 'manuals', `${name}.md`), text!)
const env = { AQUIFER_EMBEDDER: 'lexical:' }
const lines: string[] = []
try {
  const strict = await startServer(dataDir, { ...env, AQUIFER_MAX_PAGES: '2' })
  lines.push(
    ...(await record(strict.url, work, [
      'aquifer publish manuals guide.pdf --wait',
      'aquifer ask "How often is pump 7 serviced?"',
      'aquifer status',
      'aquifer status guide.pdf',
      'aquifer dlq list',
    ])),
  )
  await strict.kill('SIGTERM')
  const lenient = await startServer(dataDir, { ...env, AQUIFER_MAX_PAGES: '100' })
  lines.push(
    '# the server runs again, with AQUIFER_MAX_PAGES=100',
    '',
    ...(await record(lenient.url, work, [
      'aquifer dlq replay --cause too_large',
      'until aquifer status guide.pdf | grep "state *indexed"; do sleep 0.2; done',
      'aquifer ask "Who published the law on the flow through sand?"',
    ])),
  )
  await lenient.kill('SIGTERM')
} finally {
  await removeDataDir(dataDir)
}
writeFileSync(
  join(ROOT, 'docs/terminal.md'),
  `# On a terminal

Recorded by [record-terminal.ts](../test/e2e/harness/record-terminal.ts), on the lexical embedder and without a language model. The bar is
gone once it is full; here its last frame stands.

\`\`\`text
${lines.join('\n').trimEnd()}
\`\`\`
`,
)
