import { getEncoding } from 'encoding-sniffer'

const BOMS: readonly (readonly [label: string, bytes: readonly number[]])[] = [
  ['utf-8', [0xef, 0xbb, 0xbf]],
  ['utf-16le', [0xff, 0xfe]],
  ['utf-16be', [0xfe, 0xff]],
]
const SNIFFED_BYTES = 4096

/**
 * Bytes → text: by byte order mark, then the declared charset, then (HTML) the page's own `meta`, then UTF-16 by its
 * pattern of zeros, then UTF-8, then Windows-1252, which is what unlabelled text of the older world mostly is.
 */
export function decodeText(bytes: Uint8Array, charset: string | null, html = false): string {
  const marked = byteOrderMark(bytes)
  if (marked) return decode(bytes, marked) ?? ''
  const declared = charset === null ? null : decode(bytes, charset)
  if (declared !== null) return declared
  const pattern = utf16Pattern(bytes)
  if (pattern) return decode(bytes, pattern) ?? ''
  if (html) {
    const label = getEncoding(bytes, { defaultEncoding: '' })
    const found = label === '' || label === 'utf-8' ? null : decode(bytes, label)
    if (found !== null) return found
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return decode(bytes, mostlyUtf8(bytes) ? 'utf-8' : 'windows-1252') ?? ''
  }
}

/** Null where the label names no encoding. */
function decode(bytes: Uint8Array, label: string): string | null {
  try {
    return new TextDecoder(label).decode(bytes)
  } catch (error) {
    if (error instanceof RangeError) return null
    throw error
  }
}

export function byteOrderMark(bytes: Uint8Array): string | null {
  return BOMS.find(([, mark]) => mark.every((byte, i) => bytes[i] === byte))?.[0] ?? null
}

/** UTF-16 without a mark: Latin text has a zero in every second byte, and never in the others. */
export function utf16Pattern(bytes: Uint8Array): 'utf-16le' | 'utf-16be' | null {
  const zeros = [0, 0]
  const length = Math.min(bytes.length, SNIFFED_BYTES) & ~1
  for (let i = 0; i < length; i++) if (bytes[i] === 0) zeros[i & 1]!++
  const half = length / 2
  if (length < 4) return null
  if (zeros[1]! > half * 0.7 && zeros[0] === 0) return 'utf-16le'
  return zeros[0]! > half * 0.7 && zeros[1] === 0 ? 'utf-16be' : null
}

/** A damaged byte or two does not make a UTF-8 text a Windows-1252 one. */
function mostlyUtf8(bytes: Uint8Array): boolean {
  const text = new TextDecoder('utf-8').decode(bytes.subarray(0, 1 << 20))
  const wrong = text.match(/\ufffd/gu)?.length ?? 0
  const right = text.match(/[^\p{ASCII}\ufffd]/gu)?.length ?? 0
  return right > wrong * 4
}
