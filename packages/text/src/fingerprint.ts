/** Words that are looked at together: a moved sentence changes few of them, another text nearly all. */
const SHINGLE_WORDS = 3
const BITS = 64
/** Scripts that set no blanks between words: each character counts as one. */
const WORD =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]|[[\p{L}\p{N}]--[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]]+/gv
/** Fewer words than this are like too many others. */
const MIN_WORDS = 20
/** Changes with every change of what `fingerprint` returns: those of two versions cannot be compared. */
export const FINGERPRINT_VERSION = 1

/**
 * What a text says, as 64 bits in hex, of which near-identical texts share all but a few (SimHash, Charikar 2002; for near
 * duplicates Manku, Jain and Das Sarma 2007). Case, marks and blanks do not count. Null where there is too little text.
 */
export function fingerprint(text: string): string | null {
  const low = countBits()
  const high = countBits()
  const window: number[] = []
  let words = 0
  eachWord(text, (hashed) => {
    words++
    window.push(hashed)
    if (window.length < SHINGLE_WORDS) return
    let first = 0x811c9dc5
    let second = 0x9e3779b9
    for (const hash of window) {
      first = mix(first ^ hash)
      second = mix(Math.imul(second, 31) + hash)
    }
    window.shift()
    low.add(first)
    high.add(second)
  })
  if (words < MIN_WORDS) return null
  return low.majority() + high.majority()
}

/** How often each of 32 bits was set, four bits at a time: a byte each of one number. */
function countBits() {
  const sums = new Int32Array(32)
  const bytes = new Int32Array(8)
  let added = 0
  let unsummed = 0
  const sumUp = () => {
    for (let bit = 0; bit < 32; bit++) sums[bit]! += (bytes[bit & 7]! >>> (bit & 24)) & 0xff
    bytes.fill(0)
    unsummed = 0
  }
  return {
    add(value: number): void {
      for (let bit = 0; bit < 8; bit++) bytes[bit]! += (value >>> bit) & 0x01010101
      added++
      if (++unsummed === 0xff) sumUp()
    },
    /** The bits that were set more often than not, in hex, the lowest four first. */
    majority(): string {
      sumUp()
      let hex = ''
      for (let nibble = 0; nibble < 32; nibble += 4) {
        let value = 0
        for (let bit = 0; bit < 4; bit++) if (sums[nibble + bit]! * 2 > added) value |= 1 << bit
        hex += value.toString(16)
      }
      return hex
    },
  }
}

/**
 * Texts no further apart than this are near-identical: the most that `nearKeys` finds without exception. Of 265 pages of documentation
 * none of 34,980 pairs is (the nearest, two references to sister functions, is at 9), nor is one of 365,085 pairs of encyclopedia
 * passages. With a sentence put into it a page stays near: 88 of 88 from 600 words on, 82 of 91 from 150, 27 of 86 shorter ones.
 */
export const NEAR_DISTANCE = 7

const BAND_DIGITS = 4
const BANDS = BITS / (4 * BAND_DIGITS)
/** What a band of every near fingerprint can be: this one's with none or one of its bits changed. */
const FLIPS = [0, ...Array.from({ length: BITS / BANDS }, (_, bit) => 1 << bit)]

/**
 * The four bands of 16 bits of a fingerprint, each as its number and its four digits: what it is found by. Of two that differ in at
 * most `NEAR_DISTANCE` = 7 bits one of the four bands differs in at most one, so that `nearKeys` of one has a key of the other
 * (multi-index hashing, Norouzi, Punjani and Fleet 2014). Of others it has one in about a thousand.
 */
export function bandKeys(fingerprint: string): string[] {
  return bandsOf(fingerprint).map((digits, band) => `${band}${digits}`)
}

/** All 68 keys by which what is near is found: `bandKeys` of a fingerprint with no or one bit changed in each. */
export function nearKeys(fingerprint: string): string[] {
  return bandsOf(fingerprint).flatMap((digits, band) =>
    FLIPS.map((flip) => {
      const changed = Number.parseInt(digits, 16) ^ flip
      return `${band}${changed.toString(16).padStart(BAND_DIGITS, '0')}`
    }),
  )
}

function bandsOf(fingerprint: string): string[] {
  return Array.from({ length: BANDS }, (_, band) =>
    fingerprint.slice(band * BAND_DIGITS, (band + 1) * BAND_DIGITS),
  )
}

/** In how many of 64 bits two fingerprints differ. */
export function fingerprintDistance(a: string, b: string): number {
  let distance = 0
  for (let i = 0; i < a.length; i++) {
    let bits = Number.parseInt(a[i]!, 16) ^ Number.parseInt(b[i] ?? '0', 16)
    for (; bits > 0; bits &= bits - 1) distance++
  }
  return distance
}

/** Visits the hashes of a text's words in their order: FNV-1a over each in lower case. Only where it is not ASCII does `WORD` look. */
function eachWord(text: string, visit: (hash: number) => void): void {
  for (let at = 0; at < text.length;) {
    let value = FNV_OFFSET
    let end = at
    let code = text.charCodeAt(end)
    for (; ASCII_LOWER[code]; code = text.charCodeAt(++end)) value = fnv(value, ASCII_LOWER[code]!)
    if (code > 0x7f) {
      WORD.lastIndex = at
      const word = WORD.exec(text)?.[0]
      if (word === undefined) return
      visit(hashWord(word))
      at = WORD.lastIndex
    } else {
      if (end > at) visit(mix(value))
      at = end + 1
    }
  }
}

function hashWord(word: string): number {
  let value = FNV_OFFSET
  const lower = word.toLowerCase()
  for (let i = 0; i < lower.length; i++) value = fnv(value, lower.charCodeAt(i))
  return mix(value)
}

const FNV_OFFSET = 0x811c9dc5
const fnv = (value: number, code: number): number => Math.imul(value ^ code, 0x01000193)

/** Of a letter or digit its lower case, of other ASCII 0. */
const ASCII_LOWER = Uint8Array.from({ length: 128 }, (_, code) =>
  /[a-z\d]/i.test(String.fromCharCode(code)) ? String.fromCharCode(code).toLowerCase().charCodeAt(0) : 0,
)

/** All bits of the input reach all of the result (the finaliser of MurmurHash3). */
function mix(value: number): number {
  let mixed = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return mixed ^ (mixed >>> 16)
}
