import { startGate } from './gate.ts'
import type { Gate } from './gate.ts'

/** A text with it is refused by the model, whatever else it says. */
export const UNEMBEDDABLE = 'unembeddable'
const DIMENSIONS = 64

/** An embedding server that counts what it embeds: `https://<host>/<who>/v1`. */
export interface ModelServer extends Gate {
  /** How often each text of a document was embedded. */
  readonly embedded: ReadonlyMap<string, number>
}

export async function startModelServer(isOfDocument: (text: string) => boolean): Promise<ModelServer> {
  const embedded = new Map<string, number>()
  const gate = await startGate(({ body }, response) => {
    const { input } = JSON.parse(body.toString()) as { input: string[] }
    if (input.some((text) => text.includes(UNEMBEDDABLE))) {
      response.writeHead(400, { 'content-type': 'application/json' })
      return void response.end(
        JSON.stringify({ error: { message: 'refused', type: 'invalid', code: 'refused' } }),
      )
    }
    for (const text of input) if (isOfDocument(text)) embedded.set(text, (embedded.get(text) ?? 0) + 1)
    const data = input.map((text, index) => ({ object: 'embedding', index, embedding: vectorOf(text) }))
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ object: 'list', data, model: 'counted', usage: {} }))
  })
  return Object.assign(gate, { embedded })
}

/** Words counted by a hash of each. */
function vectorOf(text: string): number[] {
  const vector = Array.from({ length: DIMENSIONS }, () => 0.01)
  for (const [word] of text.toLowerCase().matchAll(/\w+/g)) {
    let hash = 7
    for (const letter of word) hash = (hash * 31 + letter.codePointAt(0)!) | 0
    vector[Math.abs(hash) % DIMENSIONS]! += 1
  }
  return vector
}
