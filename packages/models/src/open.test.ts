import { describe, expect, it } from 'vitest'
import { openEmbedder, openGenerator } from './open.ts'

const options = { dataDir: '/nonexistent' }

describe('openEmbedder', () => {
  it('refuses what it cannot read, and says what is allowed', async () => {
    for (const [url, part] of [
      ['magic:', 'onnx:, openai:, lexical:'],
      ['onnx:all-MiniLM-L6-v2?device=tpu', 'auto, cpu, cuda'],
      ['onnx:all-MiniLM-L6-v2?precision=fp64', 'fp32, int8'],
      ['onnx:all-MiniLM-L6-v2?maxTokens=-1', 'whole number'],
      ['onnx:all-MiniLM-L6-v2?speed=9', 'device, precision, maxTokens'],
      ['onnx:unheard-of', 'all-MiniLM-L6-v2'],
      ['openai:ftp://host/v1#m', 'https'],
      ['openai:https://host/v1', 'model after #'],
      ['openai:https://user:secret@host/v1#m', 'setting of its own'],
    ] as const)
      await expect(openEmbedder(url, options), url).rejects.toMatchObject({
        code: 'invalid_config',
        message: expect.stringContaining(part) as string,
      })
  })

  it('opens the lexical one, which says that it is a makeshift', async () => {
    const embedder = await openEmbedder('lexical:', options)
    expect(embedder.warning).toContain('AQUIFER_EMBEDDER')
  })

  it('a folder without a model is named', async () => {
    await expect(openEmbedder('onnx:/nonexistent/model', options)).rejects.toMatchObject({
      code: 'model_unreadable',
      message: expect.stringContaining('/nonexistent/model') as string,
    })
  })
})

describe('openGenerator', () => {
  it('opens by URL', async () => {
    expect((await openGenerator('extractive:', { embedder: null })).model).toBe('extractive')
    const generator = await openGenerator('openai:http://host/v1?contextTokens=4096#some/model', {
      embedder: null,
    })
    expect([generator.model, generator.limits.contextTokens]).toEqual(['some/model', 4096])
    await expect(openGenerator('magic:', { embedder: null })).rejects.toMatchObject({
      code: 'invalid_config',
    })
  })
})
