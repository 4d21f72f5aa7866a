/** In the order in which they win where they part the lines equally well. */
const DELIMITERS = [',', '\t', ';', '|'] as const
const SNIFFED_LINES = 20

/**
 * The character that parts the lines of a text into the same number of columns, more than one; null where none does. A
 * `strict` answer is for text of no known type: at least three columns on four lines and more, all alike, with short cells.
 */
export function sniffDelimiter(head: string, { strict = false } = {}): string | null {
  const all = unquoted(head).split(/\r?\n/u)
  // The last one may be cut.
  const lines = (all.length > 2 ? all.slice(0, -1) : all)
    .filter((line) => line.trim() !== '')
    .slice(0, SNIFFED_LINES)
  let best: { delimiter: string; score: number } | null = null
  for (const delimiter of DELIMITERS) {
    const counts = lines.map((line) => line.split(delimiter).length)
    const columns = counts[0] ?? 1
    if (columns < 2) continue
    const alike = counts.filter((count) => count === columns).length / counts.length
    if (strict && (columns < 3 || lines.length < 4 || alike < 1 || isProse(lines, delimiter))) continue
    const score = alike * 100 + Math.min(columns, 50)
    if (!best || score > best.score) best = { delimiter, score }
  }
  return best?.delimiter ?? null
}

/** A comma before a blank is a sentence's; Markdown's tables begin with their bar. */
function isProse(lines: readonly string[], delimiter: string): boolean {
  if (delimiter === '|') return lines.some((line) => line.trim().startsWith('|'))
  return (
    delimiter === ',' &&
    lines.every((line) => line.includes(', ')) &&
    !lines.some((line) => /,\S/u.test(line))
  )
}

/** What is quoted says nothing of where the columns part. */
function unquoted(text: string): string {
  return text.replace(/"(?:[^"]|"")*"/gu, 'x')
}
