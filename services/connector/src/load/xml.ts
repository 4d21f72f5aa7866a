import { Parser } from 'htmlparser2'

import { decodeText } from './charset.ts'
import { loadFailure } from './failures.ts'

/** An element; names are local ones, without their namespace's prefix. */
export interface XmlNode {
  readonly name: string
  /** Under the names as written, prefix included. */
  readonly attributes: Readonly<Record<string, string>>
  readonly children: readonly (XmlNode | string)[]
}

export interface XmlEvents {
  open?(name: string, attributes: Readonly<Record<string, string>>): void
  text?(text: string): void
  close?(name: string): void
}

/** Deeper than the office formats go, even with tables in text boxes in tables; far from the end of the stack. */
const MAX_DEPTH = 256

/**
 * XML as events. No document type is read: entities of its own stay as they are written, and so cannot grow. Damaged XML
 * gives what can be read of it. Fails `too_large` where it nests too deep.
 */
export function readXml(bytes: Uint8Array, events: XmlEvents): void {
  let depth = 0
  const parser = new Parser(
    {
      onopentag(name, attributes) {
        if (++depth > MAX_DEPTH)
          throw loadFailure('too_large', `the document nests more than ${MAX_DEPTH} deep`)
        events.open?.(local(name), attributes)
      },
      ontext(text) {
        events.text?.(text)
      },
      onclosetag(name) {
        depth--
        events.close?.(local(name))
      },
    },
    { xmlMode: true, decodeEntities: true },
  )
  parser.write(decodeText(bytes, null).replace(/^\ufeff/u, ''))
  parser.end()
}

/** XML as a tree, for parts that are read out of order. */
export function parseXml(bytes: Uint8Array): XmlNode {
  interface Open extends XmlNode {
    readonly children: (XmlNode | string)[]
  }
  const root: Open = { name: '', attributes: {}, children: [] }
  const stack = [root]
  readXml(bytes, {
    open(name, attributes) {
      const node = { name, attributes, children: [] }
      stack.at(-1)!.children.push(node)
      stack.push(node)
    },
    text(text) {
      stack.at(-1)!.children.push(text)
    },
    close() {
      if (stack.length > 1) stack.pop()
    },
  })
  return root
}

function local(name: string): string {
  return name.slice(name.indexOf(':') + 1)
}

export function elements(node: XmlNode, name?: string): XmlNode[] {
  return node.children.filter(
    (child): child is XmlNode => typeof child !== 'string' && (name === undefined || child.name === name),
  )
}

/** The element at the end of a path of child names. */
export function child(node: XmlNode | undefined, ...names: readonly string[]): XmlNode | undefined {
  let found = node
  for (const name of names)
    found = found?.children.find((each): each is XmlNode => typeof each !== 'string' && each.name === name)
  return found
}

/** All elements of a name, in order, wherever they stand; what stands in one of them is not looked at again. */
export function descendants(node: XmlNode, name: string): XmlNode[] {
  return elements(node).flatMap((each) => (each.name === name ? [each] : descendants(each, name)))
}

/** By local name: producers choose prefixes. `id` is never a relation's `r:id`: that one is `relation`'s. */
export function attribute(node: XmlNode | undefined, name: string): string | undefined {
  if (!node) return undefined
  const { attributes } = node
  if (Object.hasOwn(attributes, name)) return attributes[name]
  const key = Object.keys(attributes).find((each) => each.endsWith(`:${name}`))
  return key === undefined ? undefined : attributes[key]
}

/** The attribute that names a relation, such as `r:id`; with a prefix always. */
export function relation(node: XmlNode | undefined, name = 'id'): string | undefined {
  const key = Object.keys(node?.attributes ?? {}).find((each) => each.endsWith(`:${name}`))
  return key === undefined ? undefined : node?.attributes[key]
}

export function textOf(node: XmlNode | undefined): string {
  return (node?.children ?? []).map((each) => (typeof each === 'string' ? each : textOf(each))).join('')
}
