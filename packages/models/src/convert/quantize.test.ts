import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { besides, quantizeColumns, transpose } from './quantize.ts'

const matrix = fc
  .tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 6 }))
  .chain(([rows, columns]) =>
    fc.record({
      rows: fc.constant(rows),
      columns: fc.constant(columns),
      values: fc
        .array(fc.integer({ min: -10_000, max: 10_000 }), {
          minLength: rows * columns,
          maxLength: rows * columns,
        })
        .map((values) => Float32Array.from(values, (value) => value / 1_000)),
    }),
  )

describe('quantizeColumns', () => {
  it('is wrong by half a step of the column at most', () => {
    fc.assert(
      fc.property(matrix, ({ rows, columns, values }) => {
        const quantized = quantizeColumns(values, rows, columns)
        values.forEach((value, index) => {
          const scale = quantized.scales[index % columns]!
          expect(Math.abs(quantized.values[index]! * scale - value)).toBeLessThanOrEqual(scale * 0.501)
        })
      }),
    )
  })
})

describe('matrices', () => {
  it('transposed twice are the same', () => {
    fc.assert(
      fc.property(matrix, ({ rows, columns, values }) => {
        expect(transpose(transpose(values, rows, columns), columns, rows)).toEqual(values)
      }),
    )
  })

  it('stand side by side row by row', () => {
    expect([...besides([Float32Array.of(1, 2, 5, 6), Float32Array.of(3, 7)], 2)]).toEqual([1, 2, 3, 5, 6, 7])
  })
})
