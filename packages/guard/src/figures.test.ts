import { describe, expect, test } from 'vitest'

import { documentationPages, hasData, injectionRows, personalRows, unsafeRows } from '../fit/data.ts'
import { heldOutFigures, prepare, read } from '../fit/injection.ts'
import { crossValidate } from '../fit/tagger.ts'
import { stripUnsafe } from './inspect.ts'
import { screenDocument } from './policy.ts'
import { findUnsafe } from './unsafe.ts'

// Figures on development data that is not part of the repository; AQUIFER_DEV_DATA names its folder. Each figure is of
// models that have not seen what they are judged on; the floors lie a little under what was measured.
if (!hasData) console.warn('guard figures: skipped, no development data (set AQUIFER_DEV_DATA)')

describe.skipIf(!hasData)('figures on development data', { timeout: 300_000 }, () => {
  test('injection: recall at 1 to 3 % false positives, sources left out', () => {
    const rows = injectionRows().map((row) => ({ row, read: read(row.text) }))
    const prepared = prepare(true)
    const direct = heldOutFigures(rows, prepared, 'direct').recall
    const indirect = heldOutFigures(rows, prepared, 'indirect').recall
    console.log('injection recall by false positive rate', JSON.stringify({ direct, indirect }))
    expect(direct['0.01']).toBeGreaterThanOrEqual(0.88)
    // 1 % of the 178 benign documents is one, and two of them do hold an order to a model: the figure turns on those.
    expect(indirect['0.01']).toBeGreaterThanOrEqual(0.15)
    expect(indirect['0.02']).toBeGreaterThanOrEqual(0.45)
    expect(indirect['0.03']).toBeGreaterThanOrEqual(0.6)
  })

  test('injection: under 1 % of real documentation pages are flagged', () => {
    const pages = documentationPages()
    const flagged = pages.filter(({ text }) =>
      screenDocument(text).verdicts.some((verdict) => verdict.startsWith('injection:')),
    )
    console.log(`documentation pages flagged for injection: ${flagged.length} of ${pages.length}`)
    expect(flagged.length / pages.length).toBeLessThan(0.01)
  })

  test('personal data: F on templates that the fit has not seen', () => {
    const rows = personalRows()
    const { exact, overlap, byType } = crossValidate(rows, 'message')
    console.log('personal data', JSON.stringify({ exact, overlap, byType }))
    expect(overlap.f).toBeGreaterThanOrEqual(0.7)
    expect(exact.f).toBeGreaterThanOrEqual(0.59)
    for (const type of ['EMAIL_ADDRESS', 'IBAN_CODE', 'CREDIT_CARD', 'US_SSN', 'IP_ADDRESS'])
      expect(byType[type]?.f, type).toBeGreaterThanOrEqual(0.99)
  })

  test('active content: every payload that a sanitiser changes is flagged, and cleaned', () => {
    const rows = unsafeRows()
    const plain = (html: string): string => html.replace(/=""|[\s"'/;]|&gt;|>/g, '').toLowerCase()
    const active = rows.filter(
      ({ payload, expected }) => !(expected ?? []).some((clean) => plain(clean) === plain(payload)),
    )
    const missed = active.filter(({ payload }) => findUnsafe(payload).length === 0).map(({ id }) => id)
    const wrong = rows
      .filter((row) => !active.includes(row) && findUnsafe(row.payload).length > 0)
      .map(({ id }) => id)
    console.log(
      `active content: ${active.length - missed.length} of ${active.length} flagged, missed ${missed.join()}; beyond: ${wrong.join()}`,
    )
    // What a sanitiser drops from these does nothing: an unknown attribute, an XML prolog, a stray closing tag.
    expect(missed.filter((id) => !['xss-000', 'xss-001', 'xss-102', 'xss-170'].includes(id))).toEqual([])
    // Markup in UTF-7, and a style sheet that one of the accepted results drops.
    expect(wrong.filter((id) => !['xss-084', 'xss-154'].includes(id))).toEqual([])
    for (const { payload } of rows) expect(findUnsafe(stripUnsafe(payload))).toEqual([])
    const pages = documentationPages()
    const marked = pages.filter(({ text }) => findUnsafe(text).length > 0).length
    console.log(`documentation pages marked for active content: ${marked} of ${pages.length}`)
    expect(marked / pages.length).toBeLessThan(0.12)
  })
})
