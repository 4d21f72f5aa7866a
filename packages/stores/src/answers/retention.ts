const DAY_MS = 86_400_000

/** Answers and feedback hold text. */
export const TEXT_KEPT_MS = 30 * DAY_MS
/** Evaluations hold ids, ranges and scores alone. */
export const SCORES_KEPT_MS = 365 * DAY_MS
