import {
  ATTRIBUTE_KINDS,
  ELEMENT_KINDS,
  SWALLOWED_ELEMENTS,
  urlKind,
  type UnsafeKind,
} from './unsafe-markup.ts'

export interface UnsafeSpan {
  readonly kind: UnsafeKind
  /** UTF-16 units: exactly what must go for the text to be inert. */
  readonly start: number
  readonly end: number
}

const LETTER = /[a-zA-Z]/
const MAX_SPANS = 10_000

/**
 * Active content of a text that a browser or a chat window would act on: markup that runs or fetches, links that run,
 * pictures whose address carries data away, text that a reader cannot see. Ordered, not overlapping; linear in the text.
 *
 * A text is read twice, because parsers disagree on quotes that do not close (which is how mutation attacks hide): once with
 * quoted attribute values as HTML has them, once as though there were no quotes.
 */
export function findUnsafe(text: string): UnsafeSpan[] {
  const found: UnsafeSpan[] = []
  if (text.includes('<')) {
    scanTags(text, true, found)
    scanTags(text, false, found)
  }
  scanLinks(text, found)
  scanHidden(text, found)
  return merge(found)
}

function scanTags(text: string, quotes: boolean, found: UnsafeSpan[]): void {
  const lastClose = text.lastIndexOf('>')
  const closers = new Map<string, number>()
  for (let at = text.indexOf('<'); at >= 0 && found.length < MAX_SPANS;) {
    const next = text[at + 1] ?? ''
    let end = at + 1
    if (LETTER.test(next)) {
      end = at > lastClose ? tagEndOf(text, at, false) : tagEndOf(text, at, quotes)
      judgeTag(text, at, end, closers, found)
    } else if (next === '?' || next === '!') {
      end = judgeDeclaration(text, at, found)
    }
    at = text.indexOf('<', Math.max(end, at + 1))
  }
}

/** Where the tag that starts at `at` ends. Without quotes a new tag ends the last. */
function tagEndOf(text: string, at: number, quotes: boolean): number {
  let quote = 0
  let afterEquals = false
  for (let index = at + 1; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (quote !== 0) {
      if (code === quote) quote = 0
    } else if (code === 62) return index + 1
    else if (!quotes && code === 60) return index
    else if (quotes && afterEquals && (code === 34 || code === 39)) quote = code
    if (code === 61) afterEquals = true
    else if (code > 32) afterEquals = false
  }
  return text.length
}

function judgeTag(
  text: string,
  start: number,
  end: number,
  closers: Map<string, number>,
  found: UnsafeSpan[],
): void {
  const tag = text.slice(start, end)
  const name = (/^<([a-zA-Z][^\s/>"'=<]*)/.exec(tag)?.[1] ?? '').toLowerCase()
  const bare = name.includes(':') ? name.slice(name.lastIndexOf(':') + 1) : name
  const element = ELEMENT_KINDS.get(bare)
  if (element !== undefined) {
    const swallowed = SWALLOWED_ELEMENTS.has(bare) ? closeOf(text, bare, end, closers) : end
    found.push({ kind: element, start, end: swallowed })
    return
  }
  if (tag.length <= name.length + 2) return
  for (const span of attributeSpans(tag, bare, name.length + 1))
    found.push({ kind: span.kind, start: start + span.start, end: start + span.end })
}

/** The end of the element's closing tag, or of its opening one where it is never closed. */
function closeOf(text: string, name: string, from: number, closers: Map<string, number>): number {
  let close = closers.get(name) ?? 0
  if (close >= 0 && close < from) {
    const pattern = new RegExp(`</(?:\\w{1,20}:)?${name}`, 'gi')
    pattern.lastIndex = from
    close = pattern.exec(text)?.index ?? -1
    closers.set(name, close)
  }
  if (close < 0) return from
  const end = text.indexOf('>', close)
  return end < 0 ? text.length : end + 1
}

const ATTRIBUTE = /([^\s"'<>/=]+)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s"'>][^\s>]*))?/g

function* attributeSpans(tag: string, element: string, skip: number): Generator<UnsafeSpan> {
  for (const match of tag.slice(skip).matchAll(ATTRIBUTE)) {
    const name = (match[1] ?? '').toLowerCase()
    const value = (match[2] ?? '').replace(/^["']|["']$/g, '')
    const kind = attributeKind(name, value, element)
    if (kind !== null) yield { kind, start: skip + match.index, end: skip + match.index + match[0].length }
  }
}

function attributeKind(name: string, value: string, element: string): UnsafeKind | null {
  if (/^on[a-z]{3,}/.test(name)) return 'event_handler'
  return ATTRIBUTE_KINDS.get(name)?.(value, element) ?? null
}

const DECLARATION = /^<(?:\?xml-stylesheet|\?import|!entity|!doctype[^>]{0,200}\s(?:system|\[)|!\[cdata\[)/i

/** Comments are passed over by quoteless readers only in so far as they close. */
function judgeDeclaration(text: string, at: number, found: UnsafeSpan[]): number {
  if (DECLARATION.test(text.slice(at, at + 256))) {
    const close = text.indexOf('>', at)
    const end = close < 0 ? text.length : close + 1
    found.push({ kind: 'declaration', start: at, end })
    return end
  }
  return at + 2
}

const MARKDOWN_LINK = /\]\(\s{0,20}<?([^\s)>]{1,4000})/g
const MAX_LABEL_UNITS = 500
const REFERENCE = /^ {0,3}\[([^\]\n]{1,200})\]:\s{0,20}<?(\S{1,4000})/gm
const BARE_SCRIPT_URL = /\b(?:javascript|vbscript)\s{0,4}:\s{0,4}[^\s"'<>)]{0,2000}/gi
const ENCODED_MARKUP = /\+ADw-(?:script|img|svg|html|iframe)[^\n]{0,2000}/gi

function scanLinks(text: string, found: UnsafeSpan[]): void {
  if (text.includes('](')) {
    for (const match of text.matchAll(MARKDOWN_LINK)) {
      const url = match[1] ?? ''
      const end = match.index + match[0].length
      const kind = urlKind(url, 'a')
      const image = kind === null && carriesData(url) ? imageStart(text, match.index) : -1
      if (image >= 0) found.push({ kind: 'markdown_image', start: image, end: closing(text, end) })
      else if (kind !== null) found.push({ kind, start: end - url.length, end })
    }
  }
  if (text.includes(']:'))
    for (const match of text.matchAll(REFERENCE)) {
      const url = match[2] ?? ''
      const end = match.index + match[0].length
      const kind = urlKind(url, 'a')
      if (kind !== null) found.push({ kind, start: end - url.length, end })
    }
  for (const match of text.matchAll(BARE_SCRIPT_URL))
    // A word before a colon in prose is no link: something has to be called.
    if (/[(=`;]|%28/.test(match[0]))
      found.push({ kind: 'javascript_url', start: match.index, end: match.index + match[0].length })
  if (text.includes('+ADw-'))
    for (const match of text.matchAll(ENCODED_MARKUP))
      found.push({ kind: 'script', start: match.index, end: match.index + match[0].length })
}

/** Where the picture whose label ends at `labelEnd` starts, or -1 for an ordinary link. */
function imageStart(text: string, labelEnd: number): number {
  const from = Math.max(0, labelEnd - MAX_LABEL_UNITS)
  const open = text.slice(from, labelEnd).lastIndexOf('[')
  return open > 0 && text[from + open - 1] === '!' ? from + open - 1 : -1
}

function closing(text: string, from: number): number {
  const close = text.slice(from, from + 200).indexOf(')')
  return close < 0 ? from : from + close + 1
}

/** A picture from another host whose address has room for what a model was told to leak. */
function carriesData(url: string): boolean {
  return /^(?:https?:)?\/\/[^?]+\?[^=]{1,64}=/i.test(url) || /^https?:\/\/[^/]+\/.{120,}/i.test(url)
}

// Tag characters, bidirectional overrides and runs of invisible ones; one joiner between letters is ordinary writing.
const HIDDEN =
  /[\u{e0001}-\u{e007f}]{2,}|[\u202a\u202b\u202d\u202e\u2066-\u2068]|[\u200b-\u200d\u2060-\u2064\ufeff]{3,}/gu
const FLAG = /\u{1f3f4}$/u

function scanHidden(text: string, found: UnsafeSpan[]): void {
  for (const match of text.matchAll(HIDDEN))
    // Flags of regions are written with tag characters after a black flag.
    if (!FLAG.test(text.slice(Math.max(0, match.index - 2), match.index)))
      found.push({ kind: 'hidden_text', start: match.index, end: match.index + match[0].length })
}

/** In order, the larger of two that overlap taking in the other. */
function merge(found: readonly UnsafeSpan[]): UnsafeSpan[] {
  const merged: UnsafeSpan[] = []
  for (const span of found.toSorted((a, b) => a.start - b.start || b.end - a.end)) {
    const last = merged.at(-1)
    if (last === undefined || span.start >= last.end) merged.push(span)
    else if (span.end > last.end) merged[merged.length - 1] = { ...last, end: span.end }
  }
  return merged
}
