/**
 * Called right after each named write, so that a test can end the process there. Production passes none.
 * The names, in the order of a document's way: append, queued, source, text, chunks, points, flip, indexed, cleanup, commit.
 */
export type Probe = (write: string, documentId: string) => void

export const noProbe: Probe = () => {}
