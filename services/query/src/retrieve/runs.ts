/** Runs of letters, marks and digits, read letter by letter: in about half of the time of a pattern, and nothing is made of them. */

const LETTER = 1
const MARK_OR_DIGIT = 2
const OTHER = 3
/** By UTF-16 unit, found when one is first met; a surrogate stands for nothing by itself. */
const kinds = new Uint8Array(65_536)

/**
 * Tells each run of letters, marks and digits, in UTF-16 units, and whether it has nothing beyond ASCII. Letters that an apostrophe puts behind
 * a run are one of its own, unless `withTails`: then they are passed over.
 */
export function eachRun(
  text: string,
  withTails: boolean,
  visit: (start: number, end: number, isAscii: boolean) => void,
): void {
  const { length } = text
  let start = -1
  let units = 0
  for (let at = 0; at < length; at++) {
    const unit = text.charCodeAt(at)
    const kind = kinds[unit]! || classify(text, at, unit)
    if (kind !== OTHER) {
      if (start < 0) {
        start = at
        units = 0
      }
      units |= unit
    } else if (start >= 0) {
      visit(start, at, units < 128)
      start = -1
      if (withTails && isApostrophe(unit)) at = lastOfTail(text, at)
    }
  }
  if (start >= 0) visit(start, length, units < 128)
}

const isApostrophe = (unit: number): boolean => unit === 0x27 || unit === 0x2019

function lastOfTail(text: string, apostrophe: number): number {
  let at = apostrophe
  while (at + 1 < text.length && kindAt(text, at + 1) === LETTER) at++
  return at
}

function kindAt(text: string, at: number): number {
  const unit = text.charCodeAt(at)
  return kinds[unit]! || classify(text, at, unit)
}

function classify(text: string, at: number, unit: number): number {
  const isSurrogate = (unit & 0xf800) === 0xd800
  const isSecond = (unit & 0xfc00) === 0xdc00 && at > 0
  const character = String.fromCodePoint(
    text.codePointAt(isSecond && text.codePointAt(at - 1)! > 0xffff ? at - 1 : at)!,
  )
  const kind = /\p{L}/u.test(character) ? LETTER : /[\p{M}\p{N}]/u.test(character) ? MARK_OR_DIGIT : OTHER
  if (!isSurrogate) kinds[unit] = kind
  return kind
}
