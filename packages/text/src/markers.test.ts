import { expect, test } from 'vitest'
import { blankMarkers } from './markers.ts'

test('markers: blanked out, and all else stays in its place', () => {
  const answer = 'Snow melts [1], reeds bend [2][3].'
  expect(blankMarkers(answer)).toBe('Snow melts    , reeds bend       .')
  expect(blankMarkers('[a] and [1234] are no markers')).toBe('[a] and [1234] are no markers')
})
