export interface EvaluationInput {
  readonly question?: string
  readonly answer: string
  readonly contexts: readonly string[]
  readonly reference?: string
}

/** Scores are 0 to 1; one that the input does not allow is left out. Ranges are code points of the answer. */
export interface Scores {
  readonly scores: { readonly groundedness: number } & Readonly<Record<string, number | undefined>>
  readonly grounded: boolean
  readonly claims: readonly ScoredClaim[]
  /** Name of the scorer, with the hash of its weights. */
  readonly evaluator: string
}

export interface ScoredClaim {
  readonly text: string
  readonly start: number
  readonly end: number
  readonly score: number
  /** Indexes of contexts. */
  readonly supportedBy: readonly number[]
}

export type Evaluate = (
  input: EvaluationInput,
  options: { lane: 'query' | 'interactive'; signal?: AbortSignal },
) => Promise<Scores>
