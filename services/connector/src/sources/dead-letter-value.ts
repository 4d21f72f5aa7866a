import { isMessageFault } from '@aquifer/runtime/errors'

/** What a dead letter holds, as far as it can be shown. */
export interface ShownValue {
  /** `none` is a tombstone. Of `hex`, only the first bytes are shown. */
  readonly encoding: 'none' | 'avro' | 'json' | 'text' | 'hex'
  readonly value: unknown
  readonly sizeBytes: number
  readonly truncated: boolean
}

/** The part of a codec that is needed here, whatever it reads. */
export interface Decodes {
  decode(bytes: Buffer): unknown
}

const MAX_TEXT = 64 * 1024
const MAX_HEX_BYTES = 256

/** Avro of the topic, JSON or text where it is that, else its first bytes. */
export async function showValue(codec: Decodes | undefined, value: Buffer | null): Promise<ShownValue> {
  if (value === null) return { encoding: 'none', value: null, sizeBytes: 0, truncated: false }
  const whole = { sizeBytes: value.length, truncated: false }
  const decoded = value[0] === 0 ? await decode(codec, value) : undefined
  if (decoded !== undefined) return { encoding: 'avro', value: withoutBytes(decoded), ...whole }
  const text = readText(value)
  if (text === null) return showHex(value)
  const json = readJson(text)
  return json === undefined ? showText(text, value.length) : { encoding: 'json', value: json, ...whole }
}

async function decode(codec: Decodes | undefined, value: Buffer): Promise<unknown> {
  try {
    return await codec?.decode(value)
  } catch (error) {
    if (isMessageFault(error)) return undefined
    throw error
  }
}

/** A field of bytes is shown as a value is. */
function withoutBytes(decoded: unknown): unknown {
  return Object.fromEntries(
    Object.entries(decoded as object).map(([name, field]: [string, unknown]) => {
      if (!Buffer.isBuffer(field)) return [name, field]
      const text = readText(field)
      return [name, text === null ? showHex(field) : showText(text, field.length)]
    }),
  )
}

function readText(bytes: Buffer): string | null {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    return text.includes('\0') ? null : text
  } catch {
    return null
  }
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function showText(text: string, sizeBytes: number): ShownValue {
  const value = text.slice(0, MAX_TEXT).toWellFormed()
  return { encoding: 'text', value, sizeBytes, truncated: value.length < text.length }
}

function showHex(bytes: Buffer): ShownValue {
  const head = bytes.subarray(0, MAX_HEX_BYTES)
  return {
    encoding: 'hex',
    value: head.toString('hex'),
    sizeBytes: bytes.length,
    truncated: head.length < bytes.length,
  }
}
