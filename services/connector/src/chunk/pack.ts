import type { ChunkOptions } from './chunk.ts'
import type { Piece, Section } from './pieces.ts'

/** Pieces that are packed together: those of one section, or of several where the first ones are a few words. */
export interface Group {
  readonly pieces: readonly Piece[]
  /** Tokens of the text alone. */
  readonly limit: number
  readonly target: number
  readonly tiny: number
}

type Packing = Pick<ChunkOptions, 'targetTokens' | 'maxTokens'>

export function groupSections(pieces: readonly Piece[], options: Packing): Group[] {
  const tiny = options.targetTokens / 4
  const groups: Group[] = []
  let open: Piece[] = []
  let tokens = 0
  for (const [i, piece] of pieces.entries()) {
    open.push(piece)
    tokens += piece.tokens
    const next = pieces[i + 1]
    if (next && (next.section === piece.section || tokens < tiny)) continue
    groups.push(createGroup(open, tiny, options))
    open = []
    tokens = 0
  }
  return groups
}

function createGroup(pieces: readonly Piece[], tiny: number, { targetTokens, maxTokens }: Packing): Group {
  let context = 0
  let section: Section | null = null
  for (const piece of pieces) {
    if (piece.section === section) continue
    section = piece.section
    context = Math.max(context, section.contextTokens)
  }
  const limit = Math.max(1, maxTokens - context)
  return { pieces, limit, tiny, target: Math.min(limit, Math.max(targetTokens - context, limit / 2)) }
}

/**
 * A group's pieces as runs `[from, to)`, one for each chunk. From each run's start, the next cut is the best one between
 * half the target and the target: at the highest border of structure, and among equals the one whose following words
 * hash lowest. So two packings that began apart soon choose the same cut and are equal from there on: an edit does not
 * move all that follows (content-defined chunking, as in LBFS, Muthitacharoen et al. 2001).
 */
export function packGroup(text: string, group: Group, maxCharacters: number): [from: number, to: number][] {
  const { pieces, tiny, limit } = group
  const runs: [number, number][] = []
  for (let from = 0; from < pieces.length;) {
    const to = nextCut(text, group, from, maxCharacters)
    runs.push([from, to])
    from = to
  }
  const last = runs.at(-1)
  const before = runs.at(-2)
  if (last && before && sum(pieces, ...last) < tiny) {
    const characters = pieces[last[1] - 1]!.end - pieces[before[0]]!.start
    if (sum(pieces, before[0], last[1]) <= limit && characters <= maxCharacters)
      runs.splice(-2, 2, [before[0], last[1]])
  }
  return runs
}

/** Where the run from `from` ends. */
function nextCut(
  text: string,
  { pieces, limit, target }: Group,
  from: number,
  maxCharacters: number,
): number {
  const first = pieces[from]!
  let tokens = first.headerTokens
  let best = -1
  let bestCost = Infinity
  let to = from
  for (; to < pieces.length; to++) {
    const piece = pieces[to]!
    const more = tokens + piece.tokens
    if (to > from && (more > limit || piece.end - first.start > maxCharacters)) break
    // Beyond the target only what would leave less than half of it goes on.
    if (to > from && more > target && (best !== -1 || tokens >= target / 2) && !pieces[to - 1]!.heading) break
    tokens = more
    const next = pieces[to + 1]
    if (!next) {
      if (tokens <= target) return pieces.length
      continue
    }
    if (tokens < target / 2 || tokens > target) continue
    const cost = cutCost(text, piece, next)
    if (cost <= bestCost) {
      best = to + 1
      bestCost = cost
    }
  }
  return best === -1 ? to : best
}

/** Order first by structure, then by a hash of what follows: both stay the same wherever the text stands. */
function cutCost(text: string, before: Piece, after: Piece): number {
  const structure = before.heading
    ? 6
    : after.section !== before.section
      ? 0
      : after.depth > 0
        ? 1 + after.depth
        : text.charCodeAt(before.end - 1) === COLON
          ? 2
          : 1
  return structure + hash(text, after.start, after.end) / 2 ** 32
}

const COLON = 0x3a
/** As many characters as tell one passage's beginning from another's. */
const HASHED = 32

/** FNV-1a, its bits mixed once more, of a piece's beginning: 0 to 2³² - 1. */
function hash(text: string, start: number, end: number): number {
  let value = 0x811c9dc5
  for (let i = start; i < end && i < start + HASHED; i++)
    value = Math.imul(value ^ text.charCodeAt(i), 0x01000193)
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  return (value ^ (value >>> 13)) >>> 0
}

function sum(pieces: readonly Piece[], from: number, to: number): number {
  let tokens = pieces[from]!.headerTokens
  for (let i = from; i < to; i++) tokens += pieces[i]!.tokens
  return tokens
}
