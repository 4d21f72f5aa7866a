import type { Evidence } from '@aquifer/contracts/types'
import type { ChatMessage, EvidencePassage, Generator } from '@aquifer/models/generator'
import { marker } from '@aquifer/text/markers'
import type { Prompt } from './prompt.ts'

/** The usual estimate for English prose. */
const CHARS_PER_TOKEN = 4

interface Asked {
  readonly question: string
  /** Earlier turns, oldest first. */
  readonly history: readonly ChatMessage[]
  readonly maxOutputTokens: number
}

/** Keeps what a generator is given within its context: first the question, then evidence, then the newest turns. */
export function createContext(prompt: Prompt, { contextTokens, maxOutputTokens }: Generator['limits']) {
  const outputTokens = (asked: Asked) => Math.min(asked.maxOutputTokens, maxOutputTokens)
  const room = (asked: Asked) => (contextTokens - outputTokens(asked)) * CHARS_PER_TOKEN

  return {
    outputTokens,
    /** The best passages that fit beside the question, the first one always. */
    fitEvidence(asked: Asked, evidence: readonly Evidence[]): Evidence[] {
      const mark = '0'.repeat(32)
      let kept = [...evidence]
      const rendered = () => prompt.render({ ...asked, history: [], evidence: toPassages(kept), mark })
      while (kept.length > 1 && chars(rendered()) > room(asked)) kept = kept.slice(0, -1)
      return kept
    },
    /** The prompt with as many of the newest turns as the rest leaves room for. */
    render(asked: Asked, evidence: readonly EvidencePassage[], mark: string): ChatMessage[] {
      const alone = chars(prompt.render({ ...asked, history: [], evidence, mark }))
      return prompt.render({
        ...asked,
        history: newestTurns(asked.history, room(asked) - alone),
        evidence,
        mark,
      })
    },
  }
}

export function toPassages(evidence: readonly Evidence[]): EvidencePassage[] {
  return evidence.map(({ title, headings, text, score }, i) => ({
    marker: marker(i + 1),
    title,
    headings,
    text,
    score,
  }))
}

/** Whole turns, each from what the user said to the next time: an answer without its question would mislead. */
function newestTurns(history: readonly ChatMessage[], maxChars: number): readonly ChatMessage[] {
  const first = history.findIndex(({ role }, at) => role === 'user' && chars(history.slice(at)) <= maxChars)
  return first < 0 ? [] : history.slice(first)
}

function chars(messages: readonly ChatMessage[]): number {
  return messages.reduce((sum, { content }) => sum + content.length, 0)
}
