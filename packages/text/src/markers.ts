const MARKER = /\[\d{1,3}\]/g

/** An answer with its citation markers blanked out: they claim nothing, and all other places stay where they are. */
export function blankMarkers(answer: string): string {
  return answer.replace(MARKER, (marker) => ' '.repeat(marker.length))
}
