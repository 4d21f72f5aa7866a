import { passageContext } from '@aquifer/text/passage'

import type { Block, LoadedDocument } from '../load/document.ts'
import type { CountTokens } from './chunk.ts'
import type { Section } from './pieces.ts'

/** The part of a passage that its title and headings may take; what is beyond it is shortened from the outside. */
const CONTEXT_SHARE = 1 / 3

/** Cuts a title so that it leaves room for the passage; a title is context, its document has it whole in its text. */
export function fitTitle(title: string | null, maxTokens: number, countTokens: CountTokens): string | null {
  let fitting = title
  while (fitting && countTokens([passageContext(fitting, [])])[0]! > (maxTokens * CONTEXT_SHARE) / 2)
    fitting = halve(fitting)
  return fitting || null
}

/** Blocks by section, each with the headings that fit before its passages and the tokens these take. */
export function createSections(
  { title, blocks }: Pick<LoadedDocument, 'title' | 'blocks'>,
  maxTokens: number,
  countTokens: CountTokens,
): Section[] {
  const runs: { headings: readonly string[]; blocks: Block[] }[] = []
  for (const block of blocks) {
    const open = runs.at(-1)
    if (open && block.kind !== 'heading' && samePath(open.headings, block.headings)) open.blocks.push(block)
    else runs.push({ headings: block.headings, blocks: [block] })
  }
  const most = Math.floor(maxTokens * CONTEXT_SHARE)
  const contextTokens = createContextRuler(title, runs, countTokens)
  return runs.map((run) => {
    let { headings } = run
    while (contextTokens(headings) > most && headings.length > 0) headings = shorten(headings)
    return { blocks: run.blocks, headings, contextTokens: contextTokens(headings) }
  })
}

function samePath(a: readonly string[], b: readonly string[]): boolean {
  return a === b || (a.length === b.length && a.every((heading, i) => heading === b[i]))
}

/** Tokens of a context, summed over its parts, each of which is counted once. */
function createContextRuler(
  title: string | null,
  runs: readonly { readonly headings: readonly string[] }[],
  countTokens: CountTokens,
): (headings: readonly string[]) => number {
  const names = [...new Set(runs.flatMap((run) => run.headings.at(-1) ?? []))]
  // As a context joins its parts; the colon at its end is no longer than that.
  const part = (name: string) => `${name} > `
  const known = new Map<string, number>()
  for (const [i, tokens] of countTokens(names.map(part)).entries()) known.set(names[i]!, tokens)
  const count = (name: string) => {
    const tokens = known.get(name) ?? countTokens([part(name)])[0]!
    known.set(name, tokens)
    return tokens
  }
  const titleTokens = title === null ? 0 : countTokens([part(title)])[0]!
  return (headings) => headings.reduce((sum, heading) => sum + count(heading), titleTokens)
}

/** The innermost heading says most of a passage: outer ones go first, then its own end. */
function shorten(headings: readonly string[]): readonly string[] {
  if (headings.length > 1) return headings.slice(1)
  const half = halve(headings[0] ?? '')
  return half.length > 4 ? [half] : []
}

function halve(text: string): string {
  return text
    .slice(0, Math.floor(text.length / 2))
    .toWellFormed()
    .trimEnd()
}

/** The path that holds for several sections: the innermost where the others lead to it, else what they share. */
export function sharedPath(paths: readonly (readonly string[])[]): readonly string[] {
  const [first = [], ...others] = paths
  return others.reduce((shared, path) => {
    const common = shared.findIndex((heading, i) => heading !== path[i])
    return common === -1 ? path : shared.slice(0, common)
  }, first)
}
