import avro from 'avsc'
import { schemaVersions, subjects } from './avro.ts'

/**
 * FULL_TRANSITIVE compatibility: every version of a schema reads what every other wrote.
 * Returns what is wrong, one line each.
 */
export function incompatibilities(subject: string, versions: readonly avro.Type[]): string[] {
  const problems: string[] = []
  versions.forEach((reader, r) => {
    versions.forEach((writer, w) => {
      if (r === w) return
      try {
        reader.createResolver(writer)
      } catch (error) {
        problems.push(`${subject}: v${r + 1} cannot read v${w + 1}: ${String(error)}`)
      }
    })
  })
  return problems
}

if (import.meta.main) {
  const all = subjects()
  const problems = all.flatMap((subject) => {
    const versions = schemaVersions(subject)
    if (versions.length === 0) return [`${subject}: no schema is listed in schemas/ids.json`]
    const low = versions
      .filter(({ id }) => id < 2 ** 30)
      .map(({ id }) => `${subject}: id ${id} is below 2^30`)
    return [
      ...low,
      ...incompatibilities(
        subject,
        versions.map(({ type }) => type),
      ),
    ]
  })
  for (const problem of problems) console.error(problem)
  console.log(`${all.length} subjects checked, ${problems.length} problems`)
  process.exitCode = problems.length > 0 ? 1 : 0
}
