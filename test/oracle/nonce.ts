/**
 * Texts that tell which publication they are of. Every sentence of publication n carries `zq<n>p<i>of<k>z`: it is its i-th part of k.
 * Numbers are the run's own, over all documents and tenants.
 */
export interface Mark {
  readonly nonce: number
  readonly part: number
  readonly parts: number
}

export function mark({ nonce, part, parts }: Mark): string {
  return `zq${nonce}p${part}of${parts}z`
}

/** One paragraph a part, a blank line between them. */
export function textOf(nonce: number, parts: number, words = 'The valve was seen'): string {
  const paragraph = (_: unknown, part: number): string =>
    `${words} by note ${mark({ nonce, part, parts })} in hall ${part}.`
  return Array.from({ length: parts }, paragraph).join('\n\n')
}

/** The marks in some texts, each once. */
export function marksIn(texts: readonly string[]): Mark[] {
  const found = new Map<string, Mark>()
  for (const text of texts) {
    for (const [whole, nonce, part, parts] of text.matchAll(/zq(\d+)p(\d+)of(\d+)z/g))
      found.set(whole, { nonce: Number(nonce), part: Number(part), parts: Number(parts) })
  }
  return [...found.values()]
}
