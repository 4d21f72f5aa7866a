import MarkdownIt from 'markdown-it'
import { parse as parseYaml } from 'yaml'

import { decodeText } from './charset.ts'
import { createDocumentBuilder } from './document.ts'
import type { DocumentBuilder, LoadedDocument, LoadInput } from './document.ts'
import { addHtmlFragment } from './html.ts'
import { tableRow } from './tables.ts'

/** CommonMark with tables and strikethrough. Deeper nesting than any writer's is read without its text's structure. */
const markdown = new MarkdownIt({ html: true, maxNesting: 200 })
type Token = ReturnType<typeof markdown.parse>[number]
const FRONT_MATTER = /^---[^\S\n]*\n([\s\S]{0,65536}?)\n---[^\S\n]*(?:\n|$)/u
/** Of Hugo and Liquid: they name a template, not content. What stands between two of them stays. */
const SHORTCODES = /\{\{[<%][^{}]{0,500}[>%]\}\}|\{%[^{}%]{0,500}%\}/gu
/** JSX and module lines of MDX: not prose, so their lines stay as they are. */
const JSX = /^(?:<\/?[A-Z]|<>|\{|import\s|export\s)/u

/** A component whose attributes are all that it says, such as `<Install packages="x" />`. */
const COMPONENT = /^<[A-Z][^>]*=/u

/** Markdown → its text: link texts kept, marks and comments dropped, front matter read for the title. */
export async function loadMarkdown({ bytes, charset, limits }: LoadInput): Promise<LoadedDocument> {
  const source = decodeText(bytes, charset)
    .replace(/^\ufeff/u, '')
    .replace(/\r\n?/gu, '\n')
  const front = FRONT_MATTER.exec(source)
  const facts = frontMatter(front?.[1] ?? '')
  const builder = createDocumentBuilder(limits)
  builder.add('paragraph', facts.description ?? '')
  addTokens(builder, markdown.parse(front ? source.slice(front[0].length) : source, {}))
  return builder.finish(facts)
}

interface FrontMatter {
  readonly title: string | null
  readonly language: string | null
  readonly description: string | null
}

/** Front matter that is no YAML is no document's failure. */
function frontMatter(yaml: string): FrontMatter {
  let fields: unknown = null
  try {
    fields = parseYaml(yaml, { logLevel: 'silent', maxAliasCount: 10 })
  } catch {
    // Left out, as an unreadable header is by the tools that write such files.
  }
  const field = (name: string) => {
    const value =
      typeof fields === 'object' && fields !== null ? (fields as Record<string, unknown>)[name] : null
    return typeof value === 'string' ? value : null
  }
  return {
    title: field('title'),
    language: field('lang') ?? field('language'),
    // Sites show it under the title; on an index page it is all there is.
    description: field('description') ?? field('summary'),
  }
}

interface Item {
  /** Written before the item's first block; blanks of its width stand before the others. */
  marker: string
  used: boolean
}

function addTokens(builder: DocumentBuilder, tokens: readonly Token[]): void {
  const lists: { ordered: boolean; next: number }[] = []
  const items: Item[] = []
  let rows: string[] = []
  let cells: string[] = []
  let heading = 0
  let quotes = 0
  let inCell = false

  const put = (text: string, kind: 'paragraph' | 'code') => {
    const item = items.at(-1)
    if (!item) return builder.add(kind === 'paragraph' && quotes > 0 ? 'quote' : kind, text)
    const lead = item.used ? '' : item.marker
    item.used = true
    if (kind === 'code' && lead === '') builder.add('code', text)
    else builder.add('list', lead + text, items.length - 1)
  }

  for (const token of tokens) {
    switch (token.type) {
      case 'heading_open':
        heading = Number(token.tag.slice(1))
        break
      case 'heading_close':
        heading = 0
        break
      case 'blockquote_open':
        quotes++
        break
      case 'blockquote_close':
        quotes--
        break
      case 'bullet_list_open':
      case 'ordered_list_open':
        lists.push({ ordered: token.type === 'ordered_list_open', next: Number(token.attrGet('start') ?? 1) })
        break
      case 'bullet_list_close':
      case 'ordered_list_close':
        lists.pop()
        break
      case 'list_item_open': {
        const list = lists.at(-1)
        items.push({ marker: list?.ordered ? `${list.next++}. ` : '- ', used: false })
        break
      }
      case 'list_item_close':
        items.pop()
        break
      case 'table_open':
        rows = []
        break
      case 'tr_open':
        cells = []
        break
      case 'th_open':
      case 'td_open':
        inCell = true
        break
      case 'th_close':
      case 'td_close':
        inCell = false
        break
      case 'tr_close':
        rows.push(tableRow(cells))
        break
      case 'table_close':
        builder.add('table', rows.filter((row) => row !== '').join('\n'))
        break
      case 'fence':
      case 'code_block':
        put(token.content, 'code')
        break
      case 'html_block':
        if (!addHtmlFragment(builder, token.content) && COMPONENT.test(token.content))
          put(token.content, 'code')
        break
      case 'inline': {
        const text = inlineText(token)
        if (inCell) cells.push(text)
        else if (heading > 0) builder.heading(heading, text)
        else if (isJsx(token)) put(text, 'code')
        else put(text, 'paragraph')
        break
      }
    }
  }
}

/** A tag that runs over several lines, or a module line: Markdown takes it for text, though no mark in it is one. */
function isJsx({ content, children }: Token): boolean {
  return JSX.test(content.replace(SHORTCODES, '').trimStart()) && children?.[0]?.type !== 'html_inline'
}

/** A paragraph's text on one line; only its hard breaks, and the lines of JSX, stay. */
function inlineText(token: Token): string {
  if (isJsx(token)) return token.content.replace(SHORTCODES, '')
  const parts = (token.children ?? []).map((child) => {
    switch (child.type) {
      case 'text':
      case 'code_inline':
      case 'text_special':
        return child.content
      case 'image':
        return child.content
      case 'softbreak':
        return ' '
      case 'hardbreak':
        return '\n'
      case 'html_inline':
        return /^<br\b/iu.test(child.content) ? '\n' : ''
      default:
        return ''
    }
  })
  return parts.join('').replace(SHORTCODES, '')
}
