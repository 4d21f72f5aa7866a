/**
 * What a person sees. Whoever wrote a document, or a model, chose some of these characters: none of them may steer the terminal.
 */

const STEERING = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu
/** Controls but for line feed and tab, line separators, and what turns the direction of what follows. */
const STEERING_IN_TEXT =
  // oxlint-disable-next-line no-control-regex -- these are what is taken out
  /[\u0000-\u0008\u000B-\u001F\u007F-\u009F\u2028\u2029\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]/g

/** One line that cannot steer the terminal: each such character is shown as U+FFFD. */
export function printable(text: string): string {
  return text.replaceAll(STEERING, '\uFFFD')
}

/** The same of text with lines and tabs, whose other such characters are left out. */
export function printableText(text: string): string {
  return text.replaceAll(STEERING_IN_TEXT, '')
}

/** On one line, white space as single spaces. */
export function oneLine(text: string): string {
  return printable(text.replaceAll(/\s+/g, ' ').trim())
}

export function cut(text: string, max: number): string {
  return text.length > max ? `${text.slice(0, max - 1)}…` : text
}

/** Columns as wide as their widest cell, the last one as it is. */
export function table(rows: readonly (readonly string[])[]): string {
  const cells = rows.map((row) => row.map(printable))
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)))
  return cells
    .map((row) =>
      row.map((cell, column) => cell.padEnd(column < row.length - 1 ? widths[column]! + 2 : 0)).join(''),
    )
    .join('\n')
}

/** Ctrl-C at a shell ends a program so. */
const INTERRUPTED = 130

/** Runs `tidy` on Ctrl-C and ends; the function it returns takes that back. */
export function onInterrupt(tidy: () => void): () => void {
  const stop = (): void => {
    tidy()
    process.exit(INTERRUPTED)
  }
  process.once('SIGINT', stop)
  return () => process.off('SIGINT', stop)
}
