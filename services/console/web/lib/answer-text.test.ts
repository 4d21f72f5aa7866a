import { expect, test } from 'vitest'
import { toUnits } from './code-points.ts'
import { readEvents } from './events.ts'
import { endedSentences, segmentsOf } from './segments.ts'
import type { Citation } from './types.ts'

const citation = (marker: string, quote: string): Citation => ({
  marker,
  quote,
  documentId: 'd',
  version: 'v',
  chunkId: 'c',
  title: null,
  page: null,
  start: 0,
  end: 0,
})

test('places: code points become places in a string, emoji and all', () => {
  const text = 'a😀b𝒄d'
  const points = Array.from(text)
  for (let start = 0; start <= points.length; start++)
    for (let end = start; end <= points.length; end++)
      expect(text.slice(...toUnits(text, start, end))).toBe(points.slice(start, end).join(''))
  expect(toUnits(text, 90, 99)).toEqual([text.length, text.length])
})

test('markers: each names its citation, one used again the next place, and what cites nothing stays text', () => {
  const citations = [citation('[1]', 'first'), citation('[1]', 'second'), citation('[2]', 'other')]
  const answer = 'One [1]. Two [2][1]. Three [1]. Four [9] <b>[1</b>.'
  const segments = segmentsOf(answer, citations)
  expect(segments.map(({ text }) => text).join('')).toBe(answer)
  expect(segments.flatMap(({ citation: cited }) => cited?.quote ?? [])).toEqual([
    'first',
    'other',
    'second',
    'second',
  ])
  expect(segmentsOf(answer, []).map(({ text }) => text)).toEqual([answer])
})

test('spoken: a sentence once it is ended, without its markers', () => {
  expect(endedSentences('It rises. [1] It fal')).toEqual(['It rises.'])
  expect(endedSentences('It rises. [1] It falls at 3.5 m.\n')).toEqual(['It rises.', 'It falls at 3.5 m.'])
})

test('events: as they come, whatever the pieces they come in; comments are none', async () => {
  const bytes = new TextEncoder().encode(
    ': keep-alive\n\nevent: state\ndata: {"a":\ndata: 1}\n\ndata: ü😀\r\n\r\ndata: [DONE]\n\ndata: cut off',
  )
  for (const size of [1, 3, 1000]) {
    const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
      bytes.slice(i * size, (i + 1) * size),
    )
    const stream = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const piece of pieces) controller.enqueue(piece)
        controller.close()
      },
    })
    const events = []
    for await (const event of readEvents(stream)) events.push(event)
    expect(events).toEqual([
      { event: 'state', data: '{"a":\n1}' },
      { event: 'message', data: 'ü😀' },
      { event: 'message', data: '[DONE]' },
    ])
  }
})
