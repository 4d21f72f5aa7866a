import { globSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const MAX_LINES = 400

const sources = globSync('{packages,services}/*/{src,conformance,fit}/**/*.ts', { cwd: ROOT })
  .concat(globSync('test/**/*.ts', { cwd: ROOT }))
  .filter((path) => !path.includes('node_modules'))
const read = (path: string): string => readFileSync(`${ROOT}${path}`, 'utf8')
const production = sources.filter(
  (path) => !/\.(?:test|fixture)\.ts$|^test\/|\/conformance\/|\/fit\//.test(path),
)

/** Imports of a file, by what they name. */
function imports(text: string): string[] {
  return [...text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map((match) => match[1]!)
}

/** What is wrong with a file's imports. */
function boundaryViolations(path: string, text: string): string[] {
  const [kind, name] = path.split('/') as [string, string]
  return imports(text).flatMap((imported) => {
    const service = /^@aquifer\/(connector|embedder|query|evaluator|console)\b/.exec(imported)?.[1]
    if (service && kind === 'services' && service !== name) return [`${path} imports the service ${service}`]
    if (service && kind === 'packages' && name !== 'cli') return [`${path} imports the service ${service}`]
    const adapter =
      /^@aquifer\/(?:event-log\/(?:sqlite|memory|kafka)|stores\/(?:lancedb|qdrant|redis|\w+-(?:sqlite|memory|file|redis|s3)|vector-index-memory))$/.test(
        imported,
      )
    return adapter && !(kind === 'packages' && name === 'cli')
      ? [`${path} imports the adapter ${imported}`]
      : []
  })
}

describe('tidy', () => {
  test('there are sources to look at', () => {
    expect(production.length).toBeGreaterThan(50)
  })

  test(`files have at most ${MAX_LINES} lines and kebab-case names`, () => {
    const long = sources.filter((path) => read(path).split('\n').length > MAX_LINES + 1)
    const named = sources.filter(
      (path) => !/^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.[a-z-]+)*\.ts$/.test(basename(path)),
    )
    expect({ long, named }).toEqual({ long: [], named: [] })
  })

  test('services import no service, and only the composition root imports an adapter', () => {
    expect(production.flatMap((path) => boundaryViolations(path, read(path)))).toEqual([])
  })

  test('a planted violation is seen', () => {
    const planted =
      "import { createQueryService } from '@aquifer/query/service'\nimport { openLanceDb } from '@aquifer/stores/lancedb'"
    expect(boundaryViolations('services/connector/src/planted.ts', planted)).toHaveLength(2)
  })

  test('the environment is read by the command line alone', () => {
    expect(
      production.filter((path) => /\bprocess\.env\b/.test(read(path)) && !path.startsWith('packages/cli/')),
    ).toEqual([])
  })

  test('nothing is left undone or switched off', () => {
    const word = new RegExp(['TO', 'DO|FIX', 'ME|@ts-', 'ignore|@ts-', 'nocheck'].join(''))
    expect(sources.filter((path) => word.test(read(path)))).toEqual([])
  })
})
