/** How an answer names its n-th piece of evidence, from 1. */
export function marker(n: number): string {
  return `[${n}]`
}

/** A marker anywhere in an answer; the group is its number. */
export const MARKER = /\[(\d{1,3})\]/g

/** An answer with its citation markers blanked out: they claim nothing, and all other places stay where they are. */
export function blankMarkers(answer: string): string {
  return answer.replace(MARKER, (found) => ' '.repeat(found.length))
}
