import { crc32, deflateRawSync } from 'node:zlib'

/** What a part's header may say that is not so. */
interface Lies {
  readonly size?: number
  readonly encrypted?: boolean
}

/** A ZIP archive of texts or bytes. */
export function makeZip(
  parts: Readonly<Record<string, string | Uint8Array>>,
  lies: Readonly<Record<string, Lies>> = {},
): Buffer {
  const locals: Buffer[] = []
  const entries: Buffer[] = []
  let offset = 0
  for (const [name, content] of Object.entries(parts)) {
    const bytes = Buffer.from(content as Uint8Array)
    const packed = deflateRawSync(bytes)
    const { size = bytes.length, encrypted = false } = lies[name] ?? {}
    const common = Buffer.alloc(26)
    common.writeUInt16LE(20, 0)
    common.writeUInt16LE(encrypted ? 1 : 0, 2)
    common.writeUInt16LE(8, 4)
    common.writeUInt32LE(crc32(bytes), 10)
    common.writeUInt32LE(packed.length, 14)
    common.writeUInt32LE(size, 18)
    common.writeUInt16LE(Buffer.byteLength(name), 22)
    const local = Buffer.concat([Buffer.from('PK\u0003\u0004'), common, Buffer.from(name), packed])
    const place = Buffer.alloc(14)
    place.writeUInt32LE(offset, 10)
    entries.push(
      Buffer.concat([Buffer.from('PK\u0001\u0002'), Buffer.from([20, 0]), common, place, Buffer.from(name)]),
    )
    locals.push(local)
    offset += local.length
  }
  const directory = Buffer.concat(entries)
  const end = Buffer.alloc(22)
  end.write('PK\u0005\u0006', 'latin1')
  end.writeUInt16LE(entries.length, 8)
  end.writeUInt16LE(entries.length, 10)
  end.writeUInt32LE(directory.length, 12)
  end.writeUInt32LE(offset, 16)
  return Buffer.concat([...locals, directory, end])
}

const OFFICE = 'http://schemas.openxmlformats.org/officeDocument/2006/relationships'

/** Relations of a part: id → the kind's last word and the target. */
export function relationships(
  targets: Readonly<Record<string, readonly [kind: string, target: string]>>,
): string {
  const each = Object.entries(targets).map(
    ([id, [kind, target]]) => `<Relationship Id="${id}" Type="${OFFICE}/${kind}" Target="${target}"/>`,
  )
  return `<?xml version="1.0"?><Relationships>${each.join('')}</Relationships>`
}

/** An Office file around its main part. */
export function makeOffice(
  kind: 'wordprocessingml.document' | 'presentationml.presentation' | 'spreadsheetml.sheet',
  main: string,
  parts: Readonly<Record<string, string | Uint8Array>>,
  lies: Readonly<Record<string, Lies>> = {},
): Buffer {
  const type = `application/vnd.openxmlformats-officedocument.${kind}.main+xml`
  return makeZip(
    {
      '[Content_Types].xml': `<Types><Override PartName="/${main}" ContentType="${type}"/></Types>`,
      '_rels/.rels': relationships({ rId1: ['officeDocument', main] }),
      ...parts,
    },
    lies,
  )
}

export const makeDocx = (
  body: string,
  parts: Readonly<Record<string, string>> = {},
  lies: Readonly<Record<string, Lies>> = {},
) =>
  makeOffice(
    'wordprocessingml.document',
    'word/document.xml',
    { 'word/document.xml': `<w:document xmlns:w="w"><w:body>${body}</w:body></w:document>`, ...parts },
    lies,
  )
