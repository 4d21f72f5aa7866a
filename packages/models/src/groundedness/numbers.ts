/** Numbers as values, so that `1,000`, `1000`, `one thousand` and `1 thousand` are equal. */

const ONES = (
  'zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen ' +
  'seventeen eighteen nineteen'
).split(' ')
const TENS = 'twenty thirty forty fifty sixty seventy eighty ninety'.split(' ')
const SMALL = new Map<string, number>([
  ...ONES.map((word, at) => [word, at] as const),
  ...TENS.map((word, at) => [word, 20 + 10 * at] as const),
  ['dozen', 12],
])
const MAGNITUDES = new Map([
  ['hundred', 1e2],
  ['thousand', 1e3],
  ['million', 1e6],
  ['billion', 1e9],
  ['trillion', 1e12],
])
const TOKEN = /(?<![\p{L}\p{N}])(?:\d{1,3}(?:,\d{3})+(?!\d)|\d{1,15})(?:\.\d{1,9})?|\p{L}{1,12}/gu

interface Reading {
  /** Of the magnitudes that are complete; `current` is still being read. */
  total: number
  current: number
  digits: boolean
}

/**
 * The values of the numbers in a text, in order. Digits are always numbers; words only from `two` on (`one`
 * is more often a pronoun), unless a magnitude follows. `5.2 million` is 5,200,000.
 */
export function numbersOf(text: string): number[] {
  const found: number[] = []
  let open: Reading | null = null
  const start = (current: number, digits: boolean): Reading => {
    close(open)
    return { total: 0, current, digits }
  }
  const close = (read: Reading | null): null => {
    if (read && (read.digits || read.total + read.current >= 2)) found.push(read.total + read.current)
    return null
  }
  for (const [token] of text.matchAll(TOKEN)) {
    const word = token.toLowerCase()
    const magnitude = MAGNITUDES.get(word)
    const small = SMALL.get(word)
    if (/^\d/.test(token)) {
      open = start(Number(token.replaceAll(',', '')), true)
    } else if (magnitude !== undefined && open) {
      if (magnitude === 100) open.current *= 100
      else {
        open.total += open.current * magnitude
        open.current = 0
      }
    } else if (small !== undefined) {
      if (open && !open.digits && joins(open, small)) open.current += small
      else open = start(small, false)
    } else if (word !== 'and' || !open || open.digits || open.current % 100 !== 0) open = close(open)
  }
  close(open)
  return found
}

/** `twenty` + `one`, `hundred` + `five`, `million` + `four`: the smaller fits into the zeros of the larger. */
function joins({ total, current }: Reading, small: number): boolean {
  if (current === 0) return total > 0
  return current % 100 === 0
    ? small < 100
    : current % 10 === 0 && current % 100 >= 20 && small > 0 && small < 10
}
