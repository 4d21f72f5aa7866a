import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { openTokenizer } from './tokenizer.ts'

const dir = mkdtempSync(join(tmpdir(), 'aquifer-tokenizer-'))
const path = join(dir, 'tokenizer.json')
const VOCABULARY = [
  '[PAD]',
  '[UNK]',
  '[CLS]',
  '[SEP]',
  'the',
  'bro',
  '##ker',
  '##s',
  '.',
  '[',
  ']',
  'sep',
  '東',
  '京',
  'σ',
]
writeFileSync(
  path,
  JSON.stringify({
    added_tokens: ['[PAD]', '[UNK]', '[CLS]', '[SEP]'].map((content, id) => ({ id, content, special: true })),
    normalizer: {
      type: 'BertNormalizer',
      clean_text: true,
      handle_chinese_chars: true,
      strip_accents: null,
      lowercase: true,
    },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: null,
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model: {
      type: 'WordPiece',
      unk_token: '[UNK]',
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries(VOCABULARY.map((token, id) => [token, id])),
    },
  }),
)
afterAll(() => rmSync(dir, { recursive: true }))

const tokenizer = openTokenizer(path)
const tokens = (text: string, max = 100) => tokenizer.encode(text, max).ids.map((id) => VOCABULARY[id])

describe('tokenizer', () => {
  it('takes words apart as WordPiece does', () => {
    expect(tokens('The BROKERS.')).toEqual(['[CLS]', 'the', 'bro', '##ker', '##s', '.', '[SEP]'])
    expect(tokens('東京 Σ xyz')).toEqual(['[CLS]', '東', '京', 'σ', '[UNK]', '[SEP]'])
    expect(tokens('')).toEqual(['[CLS]', '[SEP]'])
  })

  it('knows where each token’s word stands', () => {
    const { starts, ends } = tokenizer.encode('The brokers.', 100)
    expect(starts).toEqual([-1, 0, 4, 4, 4, 11, -1])
    expect(ends).toEqual([-1, 3, 11, 11, 11, 12, -1])
  })

  it('reads special marks of a text as plain text', () => {
    expect(tokens('[SEP]')).toEqual(['[CLS]', '[', 'sep', ']', '[SEP]'])
  })

  it('cuts at maxTokens, in the middle of a word too, and counts all', () => {
    expect(tokens('the brokers', 2)).toEqual(['[CLS]', 'the', 'bro', '[SEP]'])
    expect(tokenizer.count('the brokers')).toBe(4)
  })

  it('counts as it encodes, and adds up over white space', () => {
    const text = fc.string({ unit: 'binary' })
    fc.assert(
      fc.property(text, text, (a, b) => {
        expect(tokenizer.count(a)).toBe(tokenizer.encode(a, 1e9).ids.length - 2)
        expect(tokenizer.count(`${a} ${b}`)).toBe(tokenizer.count(a) + tokenizer.count(b))
      }),
    )
  })

  it('reads a megabyte without a space in a moment', () => {
    expect(tokenizer.count('x'.repeat(1_000_000))).toBe(1)
    expect(tokenizer.encode('東'.repeat(1_000_000), 10).ids).toHaveLength(12)
  })

  it('refuses a tokenizer of another family', () => {
    const other = join(dir, 'other.json')
    writeFileSync(other, JSON.stringify({ model: { type: 'BPE' } }))
    expect(() => openTokenizer(other)).toThrow('not a BERT tokenizer')
  })
})
