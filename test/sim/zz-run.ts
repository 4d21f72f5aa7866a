import { simulate } from './simulate.ts'
const from = Number(process.argv[2] ?? 1),
  n = Number(process.argv[3] ?? 1)
const fired = new Map<string, number>()
const t0 = performance.now()
for (let s = from; s < from + n; s++) {
  try {
    const o = await simulate(s, { print: process.argv[4] ? console.log : null })
    for (const [k, v] of o.fired) fired.set(k, (fired.get(k) ?? 0) + v)
    if (o.verdict.violations.length || n === 1) {
      console.log(s, o.hash, JSON.stringify(o.verdict.counts))
      for (const v of o.verdict.violations) console.log('   ', v)
    }
    if (process.argv[4]) for (const f of o.facts) console.log(JSON.stringify(f).slice(0, 400))
  } catch (e) {
    console.log(s, e)
  }
}
console.log(((performance.now() - t0) / n).toFixed(1), 'ms a seed')
console.log(Object.fromEntries([...fired].sort()))
process.exit(0)
