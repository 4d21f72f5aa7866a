type Value = null | number | string | Uint8Array

/** Rows in one buffer, which crosses between threads in a fraction of the time that as many values do. */
export interface PackedRows {
  readonly rows: number
  readonly columns: number
  /** Eight bytes a value (the number, or how many bytes it has), then a byte for its kind, then the bytes of texts and blobs. */
  readonly buffer: ArrayBuffer
}

const NULL = 0
const NUMBER = 1
const TEXT = 2
const BLOB = 3

/** The rows are equally long. */
export function packRows(rows: readonly (readonly Value[])[]): PackedRows {
  const columns = rows[0]?.length ?? 0
  const count = rows.length * columns
  let room = count * 9
  for (const row of rows) for (const value of row) room += roomFor(value)
  // Not filled with zeros, and not from Node's pool, so that it can be handed over.
  const bytes = Buffer.allocUnsafeSlow(room)
  const buffer = bytes.buffer
  const numbers = new Float64Array(buffer, 0, count)
  let cell = 0
  let end = count * 9
  for (const row of rows)
    for (const value of row) {
      const kind = kindOf(value)
      bytes[count * 8 + cell] = kind
      if (kind === NUMBER) numbers[cell] = value as number
      else if (kind !== NULL) {
        const start = end
        if (kind === BLOB) bytes.set(value as Uint8Array, start)
        end += kind === BLOB ? (value as Uint8Array).length : bytes.write(value as string, start)
        numbers[cell] = end - start
      }
      cell++
    }
  return { rows: rows.length, columns, buffer }
}

/** Blobs are views of the buffer. */
export function unpackRows({ rows, columns, buffer }: PackedRows): Value[][] {
  const count = rows * columns
  const numbers = new Float64Array(buffer, 0, count)
  const kinds = new Uint8Array(buffer, count * 8, count)
  const bytes = Buffer.from(buffer)
  const unpacked: Value[][] = []
  let start = count * 9
  for (let first = 0; first < count; first += columns) {
    const row: Value[] = []
    for (let cell = first; cell < first + columns; cell++) {
      const kind = kinds[cell]
      const number = numbers[cell]!
      if (kind === NUMBER) row.push(number)
      else if (kind === NULL) row.push(null)
      else {
        if (kind === BLOB) row.push(new Uint8Array(buffer, start, number))
        else {
          row.push(bytes.toString('utf8', start, start + number))
        }
        start += number
      }
    }
    unpacked.push(row)
  }
  return unpacked
}

function kindOf(value: Value): number {
  if (value === null) return NULL
  if (typeof value === 'number') return NUMBER
  return typeof value === 'string' ? TEXT : BLOB
}

function roomFor(value: Value): number {
  if (value === null || typeof value === 'number') return 0
  return typeof value === 'string' ? value.length * 3 : value.length
}
