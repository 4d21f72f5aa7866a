import { injectionRows, documentationPages } from './data.ts'
import { read, prepare, leaveSourcesOut, recallAt, fitModels, maxScore } from './injection.ts'
const rows = injectionRows().map((row) => ({ row, read: read(row.text) }))
const prepared = prepare(process.argv[2] !== 'noseeds')
for (const kind of ['direct', 'indirect'] as const) {
  for (const rate of [0.01, 0.03]) {
    let hit = 0, all = 0; const by: string[] = []
    for (const { attacks, benign } of leaveSourcesOut(rows, prepared, kind)) {
      const r = recallAt(attacks.map((a) => a.score), benign.map((b) => b.score), rate)
      hit += r.recall * attacks.length; all += attacks.length
      by.push(`${attacks[0]!.row.source}:${r.recall.toFixed(2)}@${r.threshold.toFixed(2)}`)
    }
    console.log(kind, rate, (hit / all).toFixed(3), by.join(' '))
  }
}
const models = fitModels(rows, prepared)
const pages = documentationPages().map((p) => ({ p, r: read(p.text) }))
for (const key of ['direct', 'indirect'] as const) {
  const s = pages.map(({ p, r }) => [maxScore(models[key], key === 'direct' ? r.groups : r.windows), p.name] as const).sort((a, b) => b[0] - a[0])
  if (process.argv[3]) console.log('docs', key, s.slice(0, 10).map((x) => x[0].toFixed(2)).join(' '), s.slice(0, 3).map((x) => x[1]).join(' '))
}
