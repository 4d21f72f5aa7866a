import { redact } from '@aquifer/guard/policy'
import type { GuardPolicy } from '@aquifer/guard/policy'
import type { LoadedDocument } from './load/document.ts'

/** The document with each block redacted by the policy; blocks and pages move along. */
export function redactDocument(document: LoadedDocument, policy: GuardPolicy): LoadedDocument {
  let text = ''
  let at = 0
  /** Ends of pieces in the old text, and where they lie in the new one. */
  const moved: { from: number; to: number }[] = [{ from: 0, to: 0 }]
  const copyGap = (end: number): void => {
    text += document.text.slice(at, end)
    moved.push({ from: end, to: text.length })
    at = end
  }
  const blocks = document.blocks.map((block) => {
    copyGap(block.start)
    const start = text.length
    text += redact(document.text.slice(block.start, block.end), policy)
    at = block.end
    moved.push({ from: at, to: text.length })
    return {
      ...block,
      start,
      end: text.length,
      headings: block.headings.map((heading) => redact(heading, policy)),
    }
  })
  copyGap(document.text.length)
  const pageStarts = document.pageStarts.map((offset) => {
    const piece = moved.findLast(({ from }) => from <= offset)!
    return Math.min(piece.to + (offset - piece.from), text.length)
  })
  return { ...document, text, blocks, pageStarts }
}
