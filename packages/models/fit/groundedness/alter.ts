import type { Row } from './data.ts'

/** A row with one planted fault: `start` to `end` of the new answer is false now. */
export interface Altered {
  readonly kind: 'number' | 'name' | 'negation'
  readonly row: Row
  readonly start: number
  readonly end: number
}

const NUMBER = /(?<![\p{L}\p{N}.,])\d[\d,.]*\d|(?<![\p{L}\p{N}.,])\d(?![\p{L}\p{N}])/gu
const NAME = /(?<=[\p{Ll},] )\p{Lu}\p{Ll}{3,}/gu
const VERB = /\b(?:is|are|was|were|can|will|should|has|have)\b(?! not)/gu

/**
 * The faults that human marks show too rarely to learn from (few answers swap a number), planted in grounded answers: a
 * number that the evidence lacks, a name of another source, a negation turned. At most one of a kind per answer.
 */
export function alter(row: Row, strangers: readonly string[], random: () => number): Altered[] {
  const evidence = row.contexts.join(' ')
  const pick = <T>(from: readonly T[]): T | undefined => from[Math.floor(random() * from.length)]
  const planted: Altered[] = []
  const plant = (kind: Altered['kind'], found: RegExpExecArray | undefined, by: string | undefined): void => {
    if (!found || by === undefined) return
    const end = found.index + found[0].length
    const answer = row.answer.slice(0, found.index) + by + row.answer.slice(end)
    planted.push({ kind, row: { ...row, answer }, start: found.index, end: found.index + by.length })
  }
  const inside = [...row.answer.matchAll(NUMBER)].filter(
    ({ index, 0: text }) =>
      evidence.includes(text) && !/(?:passages?|^|\n)\s*$/iu.test(row.answer.slice(0, index)),
  )
  plant('number', pick(inside), String(Math.floor(3 + random() * 900)))
  const names = [...row.answer.matchAll(NAME)].filter(({ 0: text }) => evidence.includes(text))
  plant(
    'name',
    pick(names),
    pick(strangers.filter((name) => !evidence.toLowerCase().includes(name.toLowerCase()))),
  )
  const verb = pick([...row.answer.matchAll(VERB)])
  plant('negation', verb, verb && `${verb[0]} not`)
  return planted
}

export function namesOf(text: string): string[] {
  return [...text.matchAll(NAME)].map(([name]) => name)
}
