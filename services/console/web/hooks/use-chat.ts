import { useCallback, useRef, useState } from 'react'
import type { Api } from '../lib/api.ts'
import { isAbort, toFailure } from '../lib/failure.ts'
import type { Failure } from '../lib/failure.ts'
import type { AnswerFacts, Message } from '../lib/types.ts'

/** A question with its answer, as far as it is written. */
export interface Turn {
  readonly id: number
  readonly question: string
  readonly answer: string
  readonly state: 'waiting' | 'writing' | 'done' | 'stopped' | 'failed'
  readonly facts: AnswerFacts | null
  readonly failure: Failure | null
}

/** Earlier messages that go along with a question; the server reads no more than the last twenty. */
const HISTORY_MESSAGES = 20

/** A conversation. `receipts` names what was added and is not searchable yet: an answer waits for it a little. */
export function useChat(api: Api, receipts: () => readonly string[]) {
  const [turns, setTurns] = useState<readonly Turn[]>([])
  const running = useRef<AbortController | null>(null)
  const conversationId = useRef<string | null>(null)
  const nextId = useRef(1)

  const run = useCallback(
    async (id: number, question: string, earlier: readonly Turn[]) => {
      const controller = new AbortController()
      running.current = controller
      const change = (changes: (turn: Turn) => Partial<Turn>) =>
        setTurns((all) => all.map((turn) => (turn.id === id ? { ...turn, ...changes(turn) } : turn)))
      try {
        const events = api.ask({
          messages: [...historyOf(earlier), { role: 'user', content: question }],
          conversationId: conversationId.current,
          after: receipts(),
          signal: controller.signal,
        })
        for await (const event of events) {
          // The next conversation has begun.
          if (running.current !== controller) return
          if (event.type === 'text')
            change(({ answer }) => ({ answer: answer + event.text, state: 'writing' }))
          else {
            conversationId.current = event.facts.conversationId
            change(() => ({ facts: event.facts, state: 'done' }))
          }
        }
      } catch (error) {
        change(() => (isAbort(error) ? { state: 'stopped' } : { state: 'failed', failure: toFailure(error) }))
      } finally {
        if (running.current === controller) running.current = null
      }
    },
    [api, receipts],
  )

  const busy = turns.some(({ state }) => state === 'waiting' || state === 'writing')

  return {
    turns,
    busy,
    ask: (question: string) => {
      if (busy) return
      const turn = newTurn(nextId.current++, question)
      setTurns([...turns, turn])
      void run(turn.id, question, turns)
    },
    retry: (id: number) => {
      const at = turns.findIndex((turn) => turn.id === id)
      const old = turns[at]
      if (busy || !old) return
      setTurns(turns.map((turn) => (turn.id === id ? newTurn(id, turn.question) : turn)))
      void run(id, old.question, turns.slice(0, at))
    },
    stop: () => {
      running.current?.abort()
    },
    reset: () => {
      running.current?.abort()
      running.current = null
      conversationId.current = null
      setTurns([])
    },
  }
}

function newTurn(id: number, question: string): Turn {
  return { id, question, answer: '', state: 'waiting', facts: null, failure: null }
}

function historyOf(turns: readonly Turn[]): Message[] {
  return turns
    .filter(({ state }) => state === 'done')
    .flatMap(({ question, answer }): Message[] => [
      { role: 'user', content: question },
      { role: 'assistant', content: answer },
    ])
    .slice(-HISTORY_MESSAGES)
}
