import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))

test('SPEC.md: every test that it names exists', () => {
  const sources = ['src', 'conformance']
    .flatMap((folder) => readdirSync(root + folder, { withFileTypes: true, recursive: true }))
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => readFileSync(`${entry.parentPath}/${entry.name}`, 'utf8'))
    .join('\n')
  const named = [...readFileSync(`${root}SPEC.md`, 'utf8').matchAll(/"([^"]+)"/g)].map(([, title]) =>
    title!.replaceAll(/\s+/g, ' '),
  )
  expect(named.length).toBeGreaterThan(25)
  expect(named.filter((title) => !sources.includes(`'${title}'`))).toEqual([])
})
