/** Flips and deletes until it is killed; each line on stdout names a write that has resolved. Arguments: adapter's module, location. */
import type { RegistryAdapter } from './registry.ts'
import { versionAt, visible } from './registry-values.ts'

const [module, location] = process.argv.slice(2) as [string, string]
const { registryAdapter } = (await import(module)) as { registryAdapter: RegistryAdapter }
const { registry } = registryAdapter.open(location)
for (let n = 1; ; n++) {
  const documentId = `doc-${n % 7}`
  if (n % 5 === 0) await registry.raiseFloor('acme', documentId, versionAt(n))
  else await registry.flip('acme', documentId, visible(n))
  process.stdout.write(`${n}\n`)
}
