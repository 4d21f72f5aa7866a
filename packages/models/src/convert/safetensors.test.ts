import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { openSafetensors } from './safetensors.ts'

const dir = mkdtempSync(join(tmpdir(), 'aquifer-safetensors-'))
afterAll(() => rmSync(dir, { recursive: true }))

function file(header: string, body: Uint8Array = new Uint8Array(), headerBytes = header.length): string {
  const path = join(dir, `${Math.abs(headerBytes)}-${body.length}.safetensors`)
  const size = Buffer.alloc(8)
  size.writeBigUInt64LE(BigInt(headerBytes))
  writeFileSync(path, Buffer.concat([size, Buffer.from(header), body]))
  return path
}

describe('openSafetensors', () => {
  it('reads tensors by name', () => {
    const body = new Uint8Array(Float32Array.of(9, 1.5, -2).buffer)
    const tensors = openSafetensors(
      file(
        '{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2],"data_offsets":[4,12]},"b":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}',
        body,
      ),
    )
    expect([...tensors.float32('a')]).toEqual([1.5, -2])
    expect(() => tensors.float32('b')).toThrow('of type I64')
    expect(() => tensors.float32('c')).toThrow('missing')
    tensors.close()
  })

  it('refuses a file that is none', () => {
    expect(() => openSafetensors(file('no json'))).toThrow('not JSON')
    expect(() => openSafetensors(file('{}', new Uint8Array(), 2 ** 40))).toThrow('header would take')
    expect(() => openSafetensors(file('{}', new Uint8Array(), 100))).toThrow('ends at byte')
  })
})
