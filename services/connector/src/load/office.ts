import type { Archive } from './archive.ts'
import { loadFailure } from './failures.ts'
import { DOCX, ODP, ODS, ODT, PPTX, XLSX } from './media-type.ts'
import { attribute, elements, parseXml } from './xml.ts'
import type { XmlNode } from './xml.ts'

/** By what the archive's own list of parts calls its main one; templates and files with macros too. */
const OFFICE_PARTS: readonly (readonly [part: RegExp, type: string])[] = [
  [
    /wordprocessingml\.(?:document|template)\.main\+xml|ms-word\.\w+\.macroEnabled(?:Template)?\.main\+xml/iu,
    DOCX,
  ],
  [
    /presentationml\.(?:presentation|template|slideshow)\.main\+xml|ms-powerpoint\.\w+\.macroEnabled\.main\+xml/iu,
    PPTX,
  ],
  [/spreadsheetml\.(?:sheet|template)\.main\+xml|ms-excel\.\w+\.macroEnabled\.main\+xml/iu, XLSX],
]
const OPEN_DOCUMENT = new Map(
  [ODT, ODS, ODP].flatMap((type) => [type, `${type}-template`].map((each) => [each, type] as const)),
)

/** Which office format a ZIP is. Fails `unsupported_type` where it is none, `encrypted` where it is one under a password. */
export async function officeType(archive: Archive): Promise<string> {
  const types = (await archive.read('[Content_Types].xml'))?.toString('latin1')
  if (types !== undefined) {
    const office = OFFICE_PARTS.find(([part]) => part.test(types))
    if (office) return office[1]
  }
  const mimetype = (await archive.read('mimetype'))?.toString('latin1').trim() ?? ''
  const open = OPEN_DOCUMENT.get(mimetype)
  if (open) {
    const manifest = (await archive.read('META-INF/manifest.xml'))?.toString('utf8') ?? ''
    if (/:encryption-data\b/u.test(manifest))
      throw loadFailure('encrypted', 'the file asks for a password: publish it without protection')
    return open
  }
  throw loadFailure(
    'unsupported_type',
    'the content is a ZIP archive and no document: unpack it and publish the files in it',
  )
}

/** A part of an Office file: its XML, and the parts that its relations name. */
export interface Part {
  readonly name: string
  readonly xml: XmlNode
  readonly relations: ReadonlyMap<string, Relation>
}

export interface Relation {
  /** The last word of its type, such as `footnotes`. */
  readonly type: string
  /** The part's name in the archive; null for what lies outside it. */
  readonly target: string | null
}

export async function readPart(archive: Archive, name: string): Promise<Part | null> {
  const bytes = await archive.read(name)
  return bytes && { name, xml: parseXml(bytes), relations: await readRelations(archive, name) }
}

/** The part that the archive's own relations name as the document. Fails `broken`. */
export async function mainPartName(archive: Archive, usual: string): Promise<string> {
  const relations = [...(await readRelations(archive, '')).values()]
  const name = relations.find(({ type }) => type === 'officeDocument')?.target ?? usual
  const found = [name, usual].find((each) => archive.names.has(each))
  if (found === undefined)
    throw loadFailure('broken', `the file has no part ${usual}: publish a repaired copy`)
  return found
}

export async function readRelations(archive: Archive, part: string): Promise<Map<string, Relation>> {
  const slash = part.lastIndexOf('/') + 1
  const bytes = await archive.read(`${part.slice(0, slash)}_rels/${part.slice(slash)}.rels`)
  const found = new Map<string, Relation>()
  if (!bytes) return found
  for (const each of elements(parseXml(bytes)).flatMap((root) => elements(root, 'Relationship'))) {
    const target = attribute(each, 'Target') ?? ''
    const type = attribute(each, 'Type') ?? ''
    const outside = attribute(each, 'TargetMode')?.toLowerCase() === 'external'
    found.set(attribute(each, 'Id') ?? '', {
      type: type.slice(type.lastIndexOf('/') + 1),
      target: outside ? null : resolve(part.slice(0, slash), target),
    })
  }
  return found
}

/** The first part that is related in one way. */
export function related({ relations }: Part, type: string): string | null {
  return [...relations.values()].find((each) => each.type === type)?.target ?? null
}

/** An archive's names have no leading slash; a target is relative to its part's folder. */
function resolve(folder: string, target: string): string {
  const path = target.startsWith('/') ? [] : folder.split('/').filter(Boolean)
  for (const step of target.split('/')) {
    if (step === '..') path.pop()
    else if (step !== '' && step !== '.') path.push(step)
  }
  return path.join('/')
}

/** What programs write where nobody gave a title. */
const MADE_UP_TITLE =
  /^\s*(?:untitled|(?:powerpoint|word)[ -](?:presentation|document)|(?:pr[äa]sentation|presentation|document|slide) ?\d*|microsoft (?:word|powerpoint|excel)\b.*|.*\.(?:docx?|pptx?|xlsx?|odt|tex|dvi|indd|pdf))\s*$/iu

/** A title that a person gave, else null. */
export function givenTitle(title: string | null | undefined): string | null {
  const text = title?.trim() ?? ''
  return text === '' || MADE_UP_TITLE.test(text) ? null : text
}

/** Title and language of an Office file's properties. */
export async function coreProperties(
  archive: Archive,
): Promise<{ title: string | null; language: string | null }> {
  const relations = [...(await readRelations(archive, '')).values()]
  const name = relations.find(({ type }) => type === 'core-properties')?.target ?? 'docProps/core.xml'
  const bytes = await archive.read(name)
  const fields = bytes ? elements(parseXml(bytes)).flatMap((root) => elements(root)) : []
  const field = (wanted: string) =>
    fields
      .find((each) => each.name === wanted)
      ?.children.filter((each) => typeof each === 'string')
      .join('') ?? null
  return { title: givenTitle(field('title')), language: field('language') }
}
