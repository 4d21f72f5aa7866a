import { attribute, child, descendants } from './xml.ts'
import type { XmlNode } from './xml.ts'

export interface Styles {
  /** 0 for the document's title, 1 to 9 for headings, null for text. */
  level(style: string | null): number | null
  /** The numbering that a style brings. */
  numbering(style: string | null): XmlNode | undefined
  isCode(style: string | null): boolean
  /** A line of a table of contents or of figures: it repeats what stands elsewhere. */
  isContents(style: string | null): boolean
}

interface Style {
  readonly name: string
  readonly basedOn: string | null
  readonly properties: XmlNode | undefined
}

/** A chain of styles is no longer than this; a loop of them is cut. */
const MAX_CHAIN = 20

export function readStyles(xml: XmlNode | null): Styles {
  const styles = new Map<string, Style>()
  let standard: string | null = null
  for (const style of xml ? descendants(xml, 'style') : []) {
    if ((attribute(style, 'type') ?? 'paragraph') !== 'paragraph') continue
    const id = attribute(style, 'styleId') ?? ''
    if (attribute(style, 'default') === '1') standard = id
    styles.set(id, {
      name: attribute(child(style, 'name'), 'val')?.toLowerCase() ?? '',
      basedOn: attribute(child(style, 'basedOn'), 'val') ?? null,
      properties: child(style, 'pPr'),
    })
  }
  const chain = (id: string | null): Style[] => {
    const found: Style[] = []
    for (let at = id ?? standard; at !== null && found.length < MAX_CHAIN;) {
      const style = styles.get(at)
      if (!style) break
      found.push(style)
      at = style.basedOn
    }
    return found
  }
  return {
    level(id) {
      for (const style of chain(id)) {
        if (style.name === 'title') return 0
        const outline = attribute(child(style.properties, 'outlineLvl'), 'val')
        if (outline !== undefined) return levelOf(outline)
        // Built-in names stay English whatever language Word speaks.
        const named = /^heading (\d)/u.exec(style.name)?.[1]
        if (named !== undefined) return Number(named)
      }
      return null
    },
    numbering(id) {
      return chain(id)
        .map((style) => child(style.properties, 'numPr'))
        .find((each) => each !== undefined)
    },
    isCode: (id) =>
      chain(id).some(({ name }) => /^(?:html preformatted|(?:source )?code\b.*|macro text)$/u.test(name)),
    isContents: (id) => chain(id).some(({ name }) => /^(?:toc \d|table of figures)$/u.test(name)),
  }
}

/** A paragraph's own outline level goes before its style's. */
export function headingLevel(
  properties: XmlNode | undefined,
  style: string | null,
  styles: Styles,
): number | null {
  const own = attribute(child(properties, 'outlineLvl'), 'val')
  return own === undefined ? styles.level(style) : levelOf(own)
}

/** The ninth level of the outline is the text's. */
function levelOf(outline: string): number | null {
  const level = Number(outline)
  return Number.isInteger(level) && level >= 0 && level < 9 ? level + 1 : null
}
