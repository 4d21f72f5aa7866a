import { decodeText } from './charset.ts'
import { createDocumentBuilder } from './document.ts'
import type { LoadedDocument, LoadInput } from './document.ts'
import { normalizeText } from './normalize.ts'

const MAX_TITLE_LENGTH = 80

/** Plain text: its lines stay as they are, blank lines part its paragraphs. */
export async function loadPlainText({
  bytes,
  charset,
  filename,
  limits,
}: LoadInput): Promise<LoadedDocument> {
  const text = decodeText(bytes, charset)
  return ASCIIDOC.test(filename ?? '') ? asciiDocument(text, limits) : plainDocument(text, limits)
}

const ASCIIDOC = /\.(?:adoc|asciidoc)$/iu

/** AsciiDoc: its headings are known, the rest is as readable as it is written. */
function asciiDocument(raw: string, limits: LoadInput['limits']): LoadedDocument {
  const builder = createDocumentBuilder(limits)
  let lines: string[] = []
  const flush = () => {
    builder.add('paragraph', lines.join('\n'))
    lines = []
  }
  for (const line of normalizeText(raw).split('\n')) {
    const heading = /^(={1,6})[^\S\n]+(\S.*)$/u.exec(line)
    if (heading || line.trim() === '') flush()
    if (heading) builder.heading(heading[1]!.length, heading[2]!)
    else lines.push(line)
  }
  flush()
  return builder.finish({})
}

export function plainDocument(raw: string, limits: LoadInput['limits']): LoadedDocument {
  const builder = createDocumentBuilder(limits)
  const text = normalizeText(raw)
  const paragraphs = text.split(/\n[^\S\n]*\n\s*/u)
  for (const paragraph of paragraphs) builder.add('paragraph', paragraph)
  return builder.finish({ title: firstLineTitle(paragraphs.find((each) => each.trim() !== '') ?? '') })
}

/** A short first line that stands alone and ends without a stop is what its writer called the text. */
function firstLineTitle(paragraph: string): string | null {
  const lines = paragraph.trim().split('\n', 3)
  const alone = lines.length === 1 || (lines.length === 2 && /^[=\-~*#]{3,}\s*$/u.test(lines[1]!))
  const title = lines[0]!.trim()
  return alone && title.length <= MAX_TITLE_LENGTH && !/[.!?:;,]$/u.test(title) ? title : null
}
