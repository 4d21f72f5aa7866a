import { fold, unleet, unpack } from './fold.ts'
import { counts, features, put, readWindow, topics } from './injection-features.ts'
import { splitWindows } from './windows.ts'

/**
 * Two linear models over the same features. `direct` reads groups of sentences, as a person's message to the model;
 * `indirect` reads each sentence with what it shares with its surroundings, since an instruction planted in a document
 * seldom speaks of what the document does.
 */
export interface LinearModel {
  /** One weight a feature. */
  readonly weights: Float32Array | Int8Array
  readonly scale: number
  readonly bias: number
}

export interface WindowScores {
  readonly start: number
  readonly end: number
  /** Of the group of sentences that ends with this one. */
  readonly direct: number
  /** Of this sentence alone. */
  readonly ownDirect: number
  readonly indirect: number
}

/** Sentences whose words count as the surroundings of each of them: about a screenful. */
const BLOCK = 64
export const GROUP_UNITS = 900
/** Digits for letters are undone in messages, not in whole files. */
const MAX_UNLEET_UNITS = 20_000
const seen = new Uint16Array(1 << 14)

export interface FeatureWindow {
  readonly start: number
  readonly end: number
  /** Features of the window's own text. */
  readonly own: number
  /** Number of its features with those of its place; `features` holds them during the visit. */
  readonly all: number
  /** Unpacked or undisguised text: it belongs to no group of sentences. */
  readonly apart: boolean
}

/** Visits the windows of a text in order; the features of each stand in `features` during its visit. */
export function visitWindows(text: string, visit: (window: FeatureWindow) => void): void {
  const windows = splitWindows(text)
  for (let from = 0; from < windows.length; from += BLOCK) {
    const block = windows.slice(from, from + BLOCK)
    const held = block.map(({ start, end }) => hold(text.slice(start, end)))
    seen.fill(0)
    for (const { topics: own } of held) for (const topic of own) countTopic(topic)
    const rowShare = held.filter(({ isRow }) => isRow).length / held.length
    for (const [index, { start, end }] of block.entries()) {
      const window = held[index]
      if (window === undefined) continue
      features.set(window.features)
      counts.features = window.features.length
      if (windows.length > 2) putPlace(from + index, windows.length, window, rowShare)
      visit({ start, end, own: window.features.length, all: counts.features, apart: false })
    }
  }
  const apart = (start: number, end: number, hidden: string): void => {
    readWindow(hidden)
    visit({ start, end, own: counts.features, all: counts.features, apart: true })
  }
  for (const packed of unpack(text)) apart(packed.start, packed.end, fold(packed.text))
  const plain = text.length < MAX_UNLEET_UNITS ? unleet(fold(text)) : null
  if (plain !== null) apart(0, text.length, plain)
}

interface HeldWindow {
  readonly features: Int32Array
  readonly topics: Int32Array
  readonly isRow: boolean
}

function hold(text: string): HeldWindow {
  const folded = fold(text)
  readWindow(folded)
  return {
    features: features.slice(0, counts.features),
    topics: topics.slice(0, counts.topics),
    isRow: folded.startsWith('|'),
  }
}

function countTopic(topic: number): void {
  const slot = topic & 0x3fff
  seen[slot] = Math.min(65_535, (seen[slot] ?? 0) + 1)
}

/** How much the window shares with its surroundings, and whether it breaks their form. */
function putPlace(index: number, total: number, window: HeldWindow, rowShare: number): void {
  let shared = 0
  for (const topic of window.topics) if ((seen[topic & 0x3fff] ?? 0) > 1) shared++
  const count = window.topics.length
  const share = count === 0 ? 5 : Math.floor((shared / count) * 4)
  put(share, 20)
  put(share * 4 + Math.min(3, count), 21)
  if (index === 0) put(share, 22)
  if (index === total - 1) put(share, 23)
  if (rowShare > 0.5) put(window.isRow ? 1 : 2, 24)
}

export function sum(model: LinearModel, from: number, to: number): number {
  let total = 0
  for (let at = from; at < to; at++) total += model.weights[features[at] ?? 0] ?? 0
  return total * model.scale
}

/** The scores of a text's windows, as log odds. A group's direct score stands on its last window. */
export function scoreWindows(text: string, direct: LinearModel, indirect: LinearModel): WindowScores[] {
  const found: WindowScores[] = []
  let group = { start: 0, total: 0, count: 0 }
  visitWindows(text, ({ start, end, own, all, apart }) => {
    const planted = sum(indirect, 0, all) / Math.sqrt(Math.max(1, all)) + indirect.bias
    const total = sum(direct, 0, own)
    if (group.count === 0 || apart || end - group.start > GROUP_UNITS) group = { start, total: 0, count: 0 }
    group = { start: group.start, total: group.total + total, count: group.count + own }
    found.push({
      start,
      end,
      direct: group.total / Math.sqrt(Math.max(1, group.count)) + direct.bias,
      ownDirect: total / Math.sqrt(Math.max(1, own)) + direct.bias,
      indirect: planted,
    })
  })
  return found
}
