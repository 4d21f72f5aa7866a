import { expect, test } from 'vitest'

import { languageTag } from './language.ts'

test('the language that a document names: a tag in its usual form, or none', () => {
  const named = { pt_br: 'pt-BR', EN: 'en', 'zh-hant-TW': 'zh-Hant-TW', gsw: 'gsw' }
  for (const [declared, tag] of Object.entries(named))
    expect([declared, languageTag(declared)]).toEqual([declared, tag])
  const none = [null, '', 'und', 'English', 'x-none', 'en us', 'en-', `en-${'abcd-'.repeat(20)}abcd`, '<b>']
  for (const declared of none) expect([declared, languageTag(declared)]).toEqual([declared, null])
})
