/**
 * A text cut into sentences or lines, by a rule cheap enough to run over every document at the door. (The sentence
 * segmenter of `@aquifer/text` is better and ten times slower.)
 */

export interface Window {
  /** UTF-16 units. */
  readonly start: number
  readonly end: number
}

/** A longer sentence is cut, so that no line of a minified file becomes one window. */
const MAX_UNITS = 400

const NEWLINE = 10
const SPACE = 32
/** . ! ? … 。 ！ ？ */
const isStop = (code: number): boolean =>
  code === 46 ||
  code === 33 ||
  code === 63 ||
  code === 0x2026 ||
  code === 0x3002 ||
  code === 0xff01 ||
  code === 0xff1f

export function splitWindows(text: string): Window[] {
  const found: Window[] = []
  let start = 0
  const close = (end: number): void => {
    let from = start
    let to = end
    while (from < to && text.charCodeAt(from) <= SPACE) from++
    while (to > from && text.charCodeAt(to - 1) <= SPACE) to--
    if (to > from) found.push({ start: from, end: to })
    start = end
  }
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === NEWLINE) close(at + 1)
    else if (isStop(code) && at + 1 < text.length && (code > 0x2fff || text.charCodeAt(at + 1) <= SPACE)) {
      // "e.g. this", "No. 5": a stop after one or two letters, or before a small letter, does not end a sentence.
      if (code !== 46 || (at - start > 3 && !startsSmall(text, at + 1))) close(at + 1)
    } else if (at - start >= MAX_UNITS && code === SPACE) close(at + 1)
    else if (at - start >= MAX_UNITS * 2) close(at + 1)
  }
  close(text.length)
  return found
}

function startsSmall(text: string, from: number): boolean {
  const code = text.charCodeAt(from + 1)
  return code >= 97 && code <= 122
}
