import { AquiferError } from '@aquifer/runtime/errors'
import { errorMessage } from '@aquifer/runtime/errors'
import PostalMime from 'postal-mime'
import type { Address, Attachment, Email } from 'postal-mime'

import { createDocumentBuilder } from './document.ts'
import type { DocumentBuilder, LoadedDocument, LoadInput } from './document.ts'
import { loadFailure } from './failures.ts'
import { addHtmlFragment } from './html.ts'

const MAX_PARTS_DEEP = 50
const MAX_ATTACHMENTS = 1000
const MAX_ADDRESSES = 20

/**
 * A message: who wrote it to whom, when and about what; its text; then each attachment as the document that it is, under a
 * heading of its name. One that cannot be read is named with why. Forwarded messages are attachments too.
 */
export async function loadMail({ bytes, limits, loadNested }: LoadInput): Promise<LoadedDocument> {
  const mail = await parseMail(bytes)
  const builder = createDocumentBuilder(limits)
  const subject = mail.subject?.trim() ?? ''
  builder.heading(1, subject)
  builder.add('paragraph', preface(mail))
  addBody(builder, mail)
  for (const attachment of mail.attachments.slice(0, MAX_ATTACHMENTS)) {
    if (isDecoration(attachment)) continue
    const name =
      attachment.filename?.trim() || (attachment.mimeType === 'message/rfc822' ? 'message' : 'unnamed')
    builder.heading(2, `Attachment: ${name}`)
    try {
      const content = attachment.content
      builder.append(
        await loadNested({
          bytes: typeof content === 'string' ? Buffer.from(content) : new Uint8Array(content as ArrayBuffer),
          contentType: attachment.mimeType,
          filename: attachment.filename,
        }),
      )
    } catch (error) {
      if (!(error instanceof AquiferError)) throw error
      builder.add('paragraph', `(not read: ${error.message})`)
    }
  }
  return builder.finish({ title: subject })
}

async function parseMail(bytes: Uint8Array): Promise<Email> {
  try {
    return await PostalMime.parse(bytes, { maxNestingDepth: MAX_PARTS_DEEP, forceRfc822Attachments: true })
  } catch (error) {
    throw loadFailure(
      'broken',
      `the message cannot be read (${errorMessage(error)}): publish a repaired copy`,
      error,
    )
  }
}

function preface({ from, to, cc, date }: Email): string {
  const lines: [string, string][] = [
    ['From', addresses(from ? [from] : [])],
    ['To', addresses(to ?? [])],
    ['Cc', addresses(cc ?? [])],
    ['Date', date ?? ''],
  ]
  return lines.flatMap(([name, value]) => (value === '' ? [] : `${name}: ${value}`)).join('\n')
}

function addresses(list: readonly Address[]): string {
  const named = list.flatMap((each) => ('group' in each && each.group ? each.group : [each]))
  const shown = named
    .slice(0, MAX_ADDRESSES)
    .map(({ name, address }) => (name && address ? `${name} <${address}>` : (address ?? name)))
  return named.length > MAX_ADDRESSES
    ? `${shown.join(', ')} and ${named.length - MAX_ADDRESSES} more`
    : shown.join(', ')
}

/** The HTML part says what are headings, lists and tables; without one, the text as it was written. */
function addBody(builder: DocumentBuilder, { html, text }: Email): void {
  if (html !== undefined && addHtmlFragment(builder, html)) return
  for (const paragraph of (text ?? '').replace(/\r\n?/gu, '\n').split(/\n[^\S\n]*\n\s*/u)) {
    const quoted = paragraph.split('\n').every((line) => line.startsWith('>'))
    builder.add(quoted ? 'quote' : 'paragraph', quoted ? paragraph.replace(/^>+ ?/gmu, '') : paragraph)
  }
}

/** A picture that stands in the text, a signature: nothing to read. */
function isDecoration({ mimeType, disposition, contentId, related }: Attachment): boolean {
  if (/^application\/(?:pgp-signature|(?:x-)?pkcs7-signature)$/u.test(mimeType)) return true
  return (
    mimeType.startsWith('image/') && (disposition === 'inline' || related === true || contentId !== undefined)
  )
}
