import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PartMissing } from './part.ts'
import type { Part, PartOptions } from './part.ts'

/**
 * Starts a part for a test file, on a directory that `stop` removes. Where it cannot be had the reason is returned, to skip
 * with; but where AQUIFER_REQUIRE, a comma list, names the part, that fails.
 */
export async function startTestPart<P extends Part>(
  name: string,
  start: (options: PartOptions) => Promise<P>,
): Promise<{ part: P; stop: () => Promise<void> } | { missing: string }> {
  const dir = await mkdtemp(join(tmpdir(), `aquifer-${name}-`))
  const clear = () => rm(dir, { recursive: true, force: true })
  try {
    const part = await start({ dir })
    return {
      part,
      async stop() {
        await part.stop()
        await clear()
      },
    }
  } catch (error) {
    await clear()
    const required = process.env['AQUIFER_REQUIRE']?.split(',').includes(name) ?? false
    if (error instanceof PartMissing && !required) return { missing: error.message }
    throw error
  }
}
