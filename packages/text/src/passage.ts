/**
 * What the embedder reads of a chunk: its title and heading path as context, then its text. Chunker, embedder and
 * vector re-use all go by this one function.
 */
export function passageContext(title: string | null, headings: readonly string[]): string {
  const path = [...(title ? [title] : []), ...headings.filter((heading) => heading !== title)]
  return path.length > 0 ? `${path.join(' > ')}: ` : ''
}
