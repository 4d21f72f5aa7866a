import { invalid } from '@aquifer/runtime/errors'

/** Where a page of evaluations ended. */
export function formatCursor(answeredAt: number, answerId: string): string {
  return Buffer.from(JSON.stringify([answeredAt, answerId])).toString('base64url')
}

/** Throws `invalid_cursor`. */
export function parseCursor(cursor: string): [answeredAt: number, answerId: string] {
  try {
    const fields: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString())
    if (Array.isArray(fields) && Number.isFinite(fields[0]) && typeof fields[1] === 'string') {
      return fields as [number, string]
    }
  } catch {
    // Falls through: whatever was wrong with it, it is not a cursor of ours.
  }
  throw invalid('invalid_cursor', 'the cursor is not one that a list answered with')
}
