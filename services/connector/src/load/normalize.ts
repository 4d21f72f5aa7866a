// C0 and C1 controls but tab and line feed, the soft hyphen, the zero-width space and byte order mark.
// oxlint-disable-next-line no-control-regex -- controls are what it looks for
const DROPPED = /[\u0000-\u0008\u000b\u000e-\u001f\u007f-\u0084\u0086-\u009f\u00ad\u200b\ufeff]+/gu
// oxlint-disable-next-line no-control-regex -- a form feed is one of them
const LINE_BREAKS = /\r\n?|[\u000c\u0085\u2028\u2029]/gu
const SPACES = /[\u00a0\u2007\u202f]/gu
/** Latin and Armenian ligatures, shapes of Arabic and Hebrew letters: what a typesetter joined, a reader searches apart. */
const LIGATURES =
  /[\ufb00-\ufb06\ufb13-\ufb17\ufb1d-\ufb4f\ufb50-\ufbb1\ufbd3-\ufd3d\ufd50-\ufdfb\ufe70-\ufefc]/gu
// oxlint-disable-next-line no-control-regex -- plain ASCII needs no work
const PLAIN = /^[\n\t\x20-\x7e]*$/u

/**
 * The one form of a text that is stored, shown and counted: well-formed, NFC, LF line ends, without control characters,
 * soft hyphens and ligatures.
 */
export function normalizeText(text: string): string {
  if (PLAIN.test(text)) return text
  return text
    .toWellFormed()
    .replace(LINE_BREAKS, '\n')
    .replace(DROPPED, '')
    .replace(SPACES, ' ')
    .replace(LIGATURES, (ligature) => ligature.normalize('NFKC'))
    .normalize('NFC')
}
