import { describe, expect, test } from 'vitest'

import { findPatterns, ibanHolds, luhnHolds } from './personal-patterns.ts'

const typesOf = (text: string): string[] =>
  findPatterns(text).map(({ type, start, end }) => `${type} ${text.slice(start, end)}`)

describe('personal data by form', () => {
  test.each([
    ['write to o.brien+news@mail.example.co.uk today', 'EMAIL_ADDRESS o.brien+news@mail.example.co.uk'],
    ['call +1 415 555 0132 now', 'PHONE_NUMBER +1 415 555 0132'],
    ['phone: 030 1234567', 'PHONE_NUMBER 030 1234567'],
    ['(020) 7946 0958', 'PHONE_NUMBER (020) 7946 0958'],
    ['card 4111-1111-1111-1111', 'CREDIT_CARD 4111-1111-1111-1111'],
    ['IBAN GB82 WEST 1234 5698 7654 32', 'IBAN_CODE GB82 WEST 1234 5698 7654 32'],
    ['from 192.168.10.4', 'IP_ADDRESS 192.168.10.4'],
    ['at 2001:db8:0:0:1:0:0:1', 'IP_ADDRESS 2001:db8:0:0:1:0:0:1'],
    ['ssn 078-05-1121', 'US_SSN 078-05-1121'],
    ['born on 12/03/1984', 'DATE_OF_BIRTH 12/03/1984'],
    ['postgres://app:hunter2@db.internal/main', 'URL_CREDENTIALS app:hunter2'],
  ])('finds it: %s', (text, found) => {
    expect(typesOf(text)).toContain(found)
  })

  test.each([
    'card 4111 1111 1111 1112',
    'IBAN GB82 WEST 1234 5698 7654 33',
    'version 1.2.3.400',
    'ssn 000-12-3456',
    'order 20240131 of 1706659200',
    'pages 100-200',
    'the price is 1234567 dollars',
    'user@localhost',
    'https://example.org/a:b@c',
  ])('leaves what fails its check: %s', (text) => {
    expect(typesOf(text)).toEqual([])
  })

  test('check digits: one changed digit fails', () => {
    expect([luhnHolds('4111111111111111'), luhnHolds('4111111111111117')]).toEqual([true, false])
    expect([ibanHolds('DE89370400440532013000'), ibanHolds('DE88370400440532013000')]).toEqual([true, false])
  })
})
