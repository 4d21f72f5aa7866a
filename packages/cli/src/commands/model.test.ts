import type { WriteStream } from 'node:tty'
import { describe, expect, test } from 'vitest'
import { createPullBars } from './model.ts'

function terminal(isTTY: boolean) {
  const written: string[] = []
  const stream = { isTTY, columns: 100, write: (text: string) => written.push(text) > 0 }
  return { written, stream: stream as unknown as WriteStream }
}

const progress = (file: string, doneBytes: number, totalBytes = 90_000_000) => ({
  model: 'm',
  source: 's',
  file,
  doneBytes,
  totalBytes,
})

describe('model pull', () => {
  test('a bar for each file tells megabytes, their rate and the time left, and is gone in the end', () => {
    const { written, stream } = terminal(true)
    let nowMs = 0
    const bars = createPullBars({ stream, now: () => nowMs })
    bars.show(progress('tokenizer.json', 500_000, 500_000))
    bars.show(progress('model.safetensors', 0))
    nowMs = 10_000
    bars.show(progress('model.safetensors', 45_000_000))
    expect(written.at(-1)).toContain('45.0/90.0 MB  50 %  4.5 MB/s  0:10 left')
    // From another source, from the beginning.
    bars.show(progress('model.safetensors', 1_000_000))
    bars.end()
    expect(written.some((each) => each.includes('tokenizer.json') && each.includes('0.5/0.5 MB'))).toBe(true)
    expect(written.at(-1)).toBe('\r\u001B[K')
  })

  test('nothing is written where nobody looks', () => {
    const { written, stream } = terminal(false)
    const bars = createPullBars({ stream })
    bars.show(progress('model.safetensors', 45_000_000))
    bars.end()
    expect(written).toEqual([])
  })
})
