/**
 * Undoes the disguises that hide words from a model of words: look-alike letters, invisible characters, spaced-out
 * letters, digits for letters, and text packed in Base64, hexadecimal, percent or Unicode tag characters. Every
 * expression here is a plain character class run, so the work is linear in the text.
 */

// Cyrillic and Greek letters that print like Latin ones (after Unicode's confusables, the common ones).
const LOOKALIKES = new Map(
  'аa еe оo рp сc уy хx іi јj ѕs ԁd һh ӏl қk ьb вb нh кk мm тt гr пn иu αa βb εe ηn ιi κk νv οo ρp τt υu χx ωw γy σo ԛq ԝw ɡg ıi'
    .split(' ')
    .map((pair) => [pair.charAt(0), pair.charAt(1)]),
)
const LEET: Readonly<Record<string, string>> = {
  '0': 'o',
  '1': 'i',
  '3': 'e',
  '4': 'a',
  '5': 's',
  '7': 't',
  '@': 'a',
  $: 's',
  '!': 'i',
}
const NON_ASCII = /\P{ASCII}/u
const INVISIBLE = /\p{Default_Ignorable_Code_Point}/gu
const WORD_WITH_LOOKALIKE = /\p{L}+/gu
const LATIN = /\p{Script=Latin}/u
const LOOKALIKE_SCRIPT = /[\p{Script=Cyrillic}\p{Script=Greek}ıɡ]/u
const LEET_WORD = /[\p{L}\d@$!]+/gu
const SPACED = /(?<![\p{L}\d])\p{L}(?:[ ._*-]\p{L}(?![\p{L}\d])){3,80}/gu

/** Lower case, compatibility forms undone, invisible characters dropped, look-alikes in Latin words made Latin. */
export function fold(text: string): string {
  let folded = text
  if (NON_ASCII.test(text)) {
    folded = text.normalize('NFKC').replace(INVISIBLE, '').toLowerCase()
    folded = folded.replace(WORD_WITH_LOOKALIKE, latinize)
  } else folded = text.toLowerCase()
  return /(?:^|[^a-z\d])[a-z](?:[ ._*-][a-z]){3}/.test(folded) || NON_ASCII.test(folded)
    ? folded.replace(SPACED, (run) => run.replace(/[ ._*-]/g, ''))
    : folded
}

/** Only words that mix scripts, or are made of look-alikes alone: Russian and Greek stay as they are. */
function latinize(word: string): string {
  if (!LOOKALIKE_SCRIPT.test(word)) return word
  const letters = Array.from(word)
  if (!LATIN.test(word) && !letters.every((letter) => LOOKALIKES.has(letter))) return word
  return letters.map((letter) => LOOKALIKES.get(letter) ?? letter).join('')
}

/** A folded text with digits read as letters inside words, or null where there is nothing to undo. */
export function unleet(folded: string): string | null {
  let changed = 0
  const plain = folded.replace(LEET_WORD, (word) => {
    if (!/[a-z]/.test(word) || !/[013457@$]/.test(word) || /\d{3}|^\d+[a-z]{1,2}$/.test(word)) return word
    changed++
    return word.replace(/[013457@$!]/g, (sign) => LEET[sign] ?? sign)
  })
  return changed > 1 ? plain : null
}

const PACKED_MIN = 24
const PACKED_MAX_COUNT = 64
const PACKED_MAX_LENGTH = 8192
const BASE64_RUN = /(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{24,}={0,2}/g
const HEX_RUN = /(?<![0-9a-zA-Z])(?:[0-9a-fA-F]{2}[ :]?){24,}/g
const PERCENT_RUN = /(?:%[0-9a-fA-F]{2}[\w.~+-]{0,12}){3,}/g
const TAG_RUN = /[\u{e0020}-\u{e007e}]{4,}/gu

export interface Packed {
  /** UTF-16 units of the given text. */
  readonly start: number
  readonly end: number
  /** What was packed. */
  readonly text: string
}

/** Readable text that stands packed in `text`: at most 64 runs, each read to at most 8,192 characters. */
export function unpack(text: string): Packed[] {
  const found: Packed[] = []
  const add = (start: number, run: string, decoded: string): void => {
    if (found.length < PACKED_MAX_COUNT && isReadable(decoded))
      found.push({ start, end: start + run.length, text: decoded })
  }
  for (const match of text.matchAll(BASE64_RUN)) {
    const run = match[0]
    // A path or a long name has no digits and one case; the alphabet's mixture is what marks packed bytes.
    if (run.length < PACKED_MIN || !/[A-Z]/.test(run) || !/[a-z]/.test(run)) continue
    add(match.index, run, Buffer.from(run.slice(0, PACKED_MAX_LENGTH), 'base64').toString('utf8'))
  }
  for (const match of text.matchAll(HEX_RUN))
    add(
      match.index,
      match[0],
      Buffer.from(match[0].slice(0, PACKED_MAX_LENGTH).replace(/[ :]/g, ''), 'hex').toString('utf8'),
    )
  for (const match of text.matchAll(PERCENT_RUN))
    add(match.index, match[0], decodePercent(match[0].slice(0, PACKED_MAX_LENGTH)))
  if (text.includes('\udb40'))
    for (const match of text.matchAll(TAG_RUN)) {
      const letters = Array.from(match[0], (tag) => String.fromCodePoint((tag.codePointAt(0) ?? 0) - 0xe0000))
      add(match.index, match[0], letters.join(''))
    }
  return found
}

function decodePercent(run: string): string {
  return Buffer.from(
    run
      .replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
      .replace(/\+/g, ' '),
    'latin1',
  ).toString('utf8')
}

/** Mostly letters and spaces, with several words: packed prose, not packed bytes. */
function isReadable(decoded: string): boolean {
  const letters = decoded.replace(/[^\p{L} ]/gu, '').length
  return letters >= decoded.length * 0.85 && decoded.split(' ').length >= 3
}
