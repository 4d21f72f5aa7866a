import { scoreWindows, type LinearModel } from './injection-model.ts'
import fitted from './weights/injection.json' with { type: 'json' }

/** What the text is: a person's message, a document that enters, or an answer that leaves. */
export type TextRole = 'input' | 'document' | 'output'

export interface Span {
  /** UTF-16 units. */
  readonly start: number
  readonly end: number
}

export interface InjectionResult {
  /** 0 to 1; 0.5 is the threshold. */
  readonly score: number
  readonly flagged: boolean
  /** Addressed by the writer to the model, or planted in what the model reads. */
  readonly kind: 'direct' | 'indirect' | null
  /** The windows above the threshold, in order. */
  readonly spans: readonly Span[]
}

// The highest of many windows is high by chance: n independent looks want log(n) more odds (Bonferroni). The bound keeps
// an attacker from buying silence with padding.
const FREE_WINDOWS = 8
const MAX_CORRECTION = 2.5
const MAX_SPANS = 32

let models: { direct: LinearModel; indirect: LinearModel } | null = null

function load(): { direct: LinearModel; indirect: LinearModel } {
  models ??= { direct: decode(fitted.direct), indirect: decode(fitted.indirect) }
  return models
}

function decode(model: { weights: string; scale: number; bias: number }): LinearModel {
  const bytes = Buffer.from(model.weights, 'base64')
  return {
    weights: new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length),
    scale: model.scale,
    bias: model.bias,
  }
}

/** How much a text's highest window is lowered for the number of windows it was chosen from. */
export function manyLooks(windows: number): number {
  return Math.min(MAX_CORRECTION, Math.log(Math.max(1, windows / FREE_WINDOWS)))
}

/**
 * Screens a text for instructions aimed at the model. A message is read for direct attacks alone, since an instruction is
 * what a message is; everything else for both kinds. Linear in the text; never throws.
 */
export function screenInjection(text: string, role: TextRole): InjectionResult {
  const { direct, indirect } = load()
  const windows = scoreWindows(text, direct, indirect)
  const correction = manyLooks(windows.length)
  const { thresholds } = fitted
  const directThreshold = (role === 'input' ? thresholds.input : thresholds.direct) + correction
  const indirectThreshold = thresholds.indirect + correction
  let best: { odds: number; kind: 'direct' | 'indirect'; span: Span } = {
    odds: -20,
    kind: 'direct',
    span: { start: 0, end: 0 },
  }
  const spans: Span[] = []
  for (const { start, end, direct: grouped, ownDirect, indirect: planted } of windows) {
    const directOdds = grouped - directThreshold
    const indirectOdds = role === 'input' ? -20 : planted - indirectThreshold
    if (directOdds > best.odds) best = { odds: directOdds, kind: 'direct', span: { start, end } }
    if (indirectOdds > best.odds) best = { odds: indirectOdds, kind: 'indirect', span: { start, end } }
    // A calm sentence after an attack belongs to its group and is not the attack.
    const isPart = (directOdds >= 0 && ownDirect >= 0) || indirectOdds >= 0
    if (isPart && spans.length < MAX_SPANS) spans.push({ start, end })
  }
  const flagged = best.odds >= 0
  if (flagged && spans.length === 0) spans.push(best.span)
  return {
    score: 1 / (1 + Math.exp(-best.odds)),
    flagged,
    kind: flagged ? best.kind : null,
    spans: spans.toSorted((a, b) => a.start - b.start),
  }
}
