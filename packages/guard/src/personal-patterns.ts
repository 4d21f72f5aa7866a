/**
 * Personal data with a form of its own, each with the check that tells it from a number of the same length. Every
 * expression is anchored by a class that cannot overlap what follows, so that the search is linear.
 */

export interface PersonalSpan {
  readonly type: string
  /** UTF-16 units. */
  readonly start: number
  readonly end: number
  /** 0 to 1. */
  readonly score: number
}

interface Pattern {
  readonly type: string
  readonly expression: RegExp
  /** A character without which the expression is not tried. */
  readonly needs?: string
  /** The confidence in a match, or 0 to reject it. `before` is up to 40 characters that precede it. */
  readonly judge: (match: string, before: string) => number
}

const digitsOf = (match: string): string => match.replace(/\D/g, '')
const sure = (): number => 1

const PHONE_CUE =
  /(?:phone|tel|telephone|mobile|cell|fax|call|reach|contact|dial|number is|whatsapp|office|hotline|telefon|téléphone|móvil)[^\n]{0,25}$/i
const SSN_CUE = /(?:ssn|social security|soc(?:ial)? sec|tax id|national id|insurance number)/i
const BIRTH_CUE = /(?:born|birth|dob|d\.o\.b|birthday|né|née|geboren)[^\n]{0,15}$/i
const CARD_CUE = /(?:card|cc|visa|mastercard|amex|credit|debit)[^\n]{0,25}$/i

const PATTERNS: readonly Pattern[] = [
  {
    type: 'EMAIL_ADDRESS',
    needs: '@',
    expression:
      /(?<![\p{L}\d._%+-])[\p{L}\d][\p{L}\d._%+-]{0,63}@(?:[\p{L}\d](?:[\p{L}\d-]{0,61}[\p{L}\d])?\.){1,8}\p{L}{2,24}(?![\p{L}\d])/gu,
    judge: sure,
  },
  {
    type: 'URL_CREDENTIALS',
    needs: '@',
    expression: /(?<=:\/\/)[^\s/:@?#]{1,128}:[^\s/@?#]{1,128}(?=@)/g,
    judge: sure,
  },
  {
    type: 'IBAN_CODE',
    expression: /\b[A-Z]{2}\d{2}(?: ?[A-Z\d]{4}){2,7}(?: ?[A-Z\d]{1,3})?\b/g,
    judge: (match) => (ibanHolds(match.replace(/ /g, '')) ? 1 : 0),
  },
  {
    type: 'CREDIT_CARD',
    expression: /(?<![\d.,-])\d(?:[ -]?\d){11,18}(?![\d]|[.,]\d)/g,
    judge: (match, before) => cardScore(digitsOf(match), before),
  },
  {
    type: 'US_SSN',
    expression: /(?<![\d-])\d{3}([- ])\d{2}\1\d{4}(?![\d-])/g,
    judge: (match, before) => ssnScore(match, before),
  },
  {
    type: 'IP_ADDRESS',
    needs: '.',
    expression: /(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.]|\.\d)/g,
    judge: (match) => (match.split('.').every((part) => Number(part) < 256) ? 0.9 : 0),
  },
  {
    type: 'IP_ADDRESS',
    needs: ':',
    expression: /(?<![\da-f:])(?:[\da-f]{1,4}:){7}[\da-f]{1,4}(?![\da-f:])/gi,
    judge: sure,
  },
  {
    type: 'IP_ADDRESS',
    needs: '::',
    expression: /(?<![\da-f:])(?:[\da-f]{1,4}:){1,6}(?::[\da-f]{1,4}){1,6}(?![\da-f:])/gi,
    judge: (match) => (match.length > 6 && /\d/.test(match) ? 0.8 : 0),
  },
  {
    type: 'DATE_OF_BIRTH',
    expression:
      /(?<![\d/.-])(?:\d{1,2}[/.-]\d{1,2}[/.-](?:19|20)\d{2}|(?:19|20)\d{2}-\d{2}-\d{2})(?![\d/-])/g,
    judge: (_, before) => (BIRTH_CUE.test(before) ? 0.95 : 0),
  },
  {
    type: 'DATE_TIME',
    expression:
      /(?<![\d/.-])(?:\d{1,2}[/.-]\d{1,2}[/.-](?:19|20)\d{2}|(?:19|20)\d{2}-\d{2}-\d{2})(?![\d/-])/g,
    judge: () => 0.7,
  },
  {
    type: 'AGE',
    expression: /(?<=\b(?:aged?|i am|i'm|is|was|turned|turning) )\d{1,3}(?= years? old|,|\.|$| and)/gi,
    judge: (match, before) =>
      Number(match) < 120 && /(?:aged?|i am|i'm|turned|turning) $/i.test(before) ? 0.6 : 0,
  },
  { type: 'AGE', expression: /(?<![\d.])\d{1,3}(?=[ -]years?[ -]old)/g, judge: () => 0.8 },
  {
    type: 'PHONE_NUMBER',
    expression:
      /(?<![\d\p{L}.,#/_-])(?:\+|\()?\d(?:[ .()-]{0,2}\d){6,14}(?: ?x\d{1,5})?(?![\d\p{L}_]|[.,-]\d)/gu,
    judge: (match, before) => phoneScore(match, before),
  },
]

/** The validated spans of a text in order; where two overlap, the more certain one, then the earlier in the list. */
export function findPatterns(text: string): PersonalSpan[] {
  const found: PersonalSpan[] = []
  for (const { type, expression, needs, judge } of PATTERNS) {
    if (needs !== undefined && !text.includes(needs)) continue
    for (const match of text.matchAll(expression)) {
      const score = judge(match[0], text.slice(Math.max(0, match.index - 40), match.index))
      if (score > 0) found.push({ type, start: match.index, end: match.index + match[0].length, score })
    }
  }
  return withoutOverlaps(found)
}

/** Keeps the more certain of two that overlap. */
export function withoutOverlaps(spans: readonly PersonalSpan[]): PersonalSpan[] {
  const kept: PersonalSpan[] = []
  for (const span of spans.toSorted((a, b) => a.start - b.start || b.end - a.end)) {
    const last = kept.at(-1)
    if (last === undefined || span.start >= last.end) kept.push(span)
    else if (span.score > last.score) kept[kept.length - 1] = span
  }
  return kept
}

/** ISO 7064 mod 97-10, as ISO 13616 uses it. */
export function ibanHolds(iban: string): boolean {
  if (iban.length < 15 || iban.length > 34) return false
  let rest = 0
  for (const sign of iban.slice(4) + iban.slice(0, 4)) {
    const value = Number.parseInt(sign, 36)
    rest = (rest * (value > 9 ? 100 : 10) + value) % 97
  }
  return rest === 1
}

/** ISO/IEC 7812-1, annex B. */
export function luhnHolds(digits: string): boolean {
  let total = 0
  for (let at = 0; at < digits.length; at++) {
    const digit = Number(digits[digits.length - 1 - at])
    const doubled = at % 2 === 1 ? digit * 2 : digit
    total += doubled > 9 ? doubled - 9 : doubled
  }
  return total % 10 === 0
}

function cardScore(digits: string, before: string): number {
  if (!luhnHolds(digits) || /^(\d)\1+$/.test(digits)) return 0
  const known = /^(?:4|5[0-9]|2[2-7]|3[0-9]|6)/.test(digits)
  return known ? 0.99 : CARD_CUE.test(before) ? 0.9 : 0
}

function ssnScore(match: string, before: string): number {
  const [area, group, serial] = match.split(/[- ]/)
  if (area === '000' || area === '666' || group === '00' || serial === '0000') return 0
  if (SSN_CUE.test(before)) return 1
  // Without its name, only the form with dashes and a valid area is taken for one.
  return match.includes('-') && Number(area) < 900 ? 0.85 : 0
}

function phoneScore(match: string, before: string): number {
  const digits = digitsOf(match.replace(/x\d+$/, ''))
  if (
    digits.length < 7 ||
    digits.length > 15 ||
    /^(?:19|20)\d\d[-./]\d\d?[-./]\d\d?/.test(match) ||
    /^\d\d?[-./]\d\d?[-./]\d{4}$/.test(match)
  )
    return 0
  const open = match.split('(').length
  if (open !== match.split(')').length) return 0
  if (match.startsWith('+')) return digits.length >= 8 ? 0.98 : 0
  if (/^\(\d{1,5}\) ?[\d -]{5,}$/.test(match)) return 0.9
  if (PHONE_CUE.test(before)) return 0.9
  // Groups as telephones are written: three and three and four, or pairs.
  return /^(?:00[1-9]\d{0,2}[ -])?(?:1[ .-])?\d{3}([ .-])\d{3}\1\d{4}(?: ?x\d+)?$/.test(match) ||
    /^0\d(?:([ .])\d\d)(?:\1\d\d){3}$/.test(match)
    ? 0.8
    : 0
}
