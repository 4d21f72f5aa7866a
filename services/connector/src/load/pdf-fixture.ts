import { createCipheriv, createHash } from 'node:crypto'

/** One line of a page: its text, size in points, and place from the page's lower left corner. */
export interface PdfLine {
  readonly text: string
  readonly size?: number
  readonly x?: number
  readonly y: number
}

/** A PDF as small as one can be: pages of Helvetica lines, ASCII only; with a password it is needed to open it. */
export function makePdf(
  pages: readonly (readonly PdfLine[])[],
  title?: string,
  password: string | null = null,
): Buffer {
  const seal = password === null ? (content: string) => content : encrypt
  const objects: string[] = [
    '<< /Type /Catalog /Pages 2 0 R >>',
    `<< /Type /Pages /Kids [${pages.map((_, i) => `${5 + 2 * i} 0 R`).join(' ')}] /Count ${pages.length} >>`,
    '<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>',
    `<< ${title === undefined ? '' : `/Title (${escape(seal(title))})`} >>`,
  ]
  for (const [i, lines] of pages.entries()) {
    const content = seal(
      lines
        .map(
          ({ text, size = 11, x = 72, y }) =>
            `BT /F1 ${size} Tf 1 0 0 1 ${x} ${y} Tm (${escape(text)}) Tj ET`,
        )
        .join('\n'),
    )
    objects.push(
      `<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R >> >> /Contents ${6 + 2 * i} 0 R >>`,
      `<< /Length ${content.length} >>\nstream\n${content}\nendstream`,
    )
  }
  let file = '%PDF-1.4\n'
  const offsets = objects.map((object, i) => {
    const offset = file.length
    file += `${i + 1} 0 obj\n${object}\nendobj\n`
    return offset
  })
  const entries = offsets.map((offset) => `${String(offset).padStart(10, '0')} 00000 n \n`).join('')
  const trailer = `trailer\n<< /Size ${objects.length + 1} /Root 1 0 R /Info 4 0 R ${password === null ? '' : encryption(password)}>>\nstartxref\n${file.length}\n%%EOF\n`
  return Buffer.from(
    `${file}xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${entries}${trailer}`,
    'latin1',
  )
}

function escape(text: string): string {
  return text.replace(/[\\()]/gu, '\\$&').replace(/\r/gu, '\\r')
}

const FILE_KEY = Buffer.alloc(32, 7)
const IV = Buffer.alloc(16, 9)

/** AESV3: what a string or stream holds. */
function encrypt(content: string): string {
  const cipher = createCipheriv('aes-256-cbc', FILE_KEY, IV)
  return Buffer.concat([IV, cipher.update(content, 'latin1'), cipher.final()]).toString('latin1')
}

/** The trailer's entries of AES-256 in its first form (revision 5): one hash of the password opens the file's key. */
function encryption(password: string): string {
  const hash = (...parts: readonly (string | Buffer)[]) =>
    createHash('sha256')
      .update(Buffer.concat(parts.map((part) => Buffer.from(part as Buffer))))
      .digest()
  const [validation, key] = [Buffer.from('validate'), Buffer.from('unlocked')]
  const sealKey = (secret: Buffer) => {
    const cipher = createCipheriv('aes-256-cbc', secret, Buffer.alloc(16)).setAutoPadding(false)
    return Buffer.concat([cipher.update(FILE_KEY), cipher.final()])
  }
  const hex = (...parts: readonly Buffer[]) => `<${Buffer.concat(parts).toString('hex')}>`
  const user = [hash(password, validation), validation, key]
  const owner = [hash('owner', validation, ...user), validation, key]
  const keys = `/UE ${hex(sealKey(hash(password, key)))} /OE ${hex(sealKey(hash('owner', key, ...user)))}`
  return `/ID [<00> <00>] /Encrypt << /Filter /Standard /V 5 /R 5 /Length 256 /P -4 /U ${hex(...user)} /O ${hex(...owner)} ${keys} /Perms ${hex(Buffer.alloc(16))} /CF << /StdCF << /CFM /AESV3 /Length 32 >> >> /StmF /StdCF /StrF /StdCF >> `
}
