import { isTag, isText } from 'domhandler'
import type { AnyNode, Element } from 'domhandler'

/** What a browser does not show as text. */
const UNSHOWN = new Set(
  (
    'head title script style link meta noscript template svg math canvas iframe object embed audio video map select option ' +
    'input textarea datalist dialog'
  ).split(' '),
)
/** What is there to find one's way. */
const WAYS = new Set(['nav', 'footer', 'button', 'menu'])
const ROLES = new Set(
  'navigation banner contentinfo search menu menubar toolbar complementary dialog alertdialog alert tablist'.split(
    ' ',
  ),
)
/** Names that pages commonly give to their furniture, as a whole word of class or id. */
const FURNITURE = new RegExp(
  `(?:^|[\\s_-])(?:${[
    'nav(?:bar|box|igation|header|footer)?',
    'menu|sidebar|side-?nav|breadcrumbs?|pagination|pager|toc|table-of-contents|on-this-page|headerlink|anchor-link',
    'site-?(?:footer|header|nav)|page-?(?:footer|nav)|global-?(?:header|footer|nav)|skip-?(?:link|nav|to-content)',
    'social(?:-?(?:links?|share|media|buttons?))?|share(?:-?(?:bar|links?|buttons?))|newsletter(?:-?signup)?|subscribe',
    'advert(?:isement)?s?|adsbygoogle|ad-?(?:slot|banner|container)|sponsored|related-?(?:posts?|articles?|links?|content)',
    'gdpr|onetrust|cookiebot|usercentrics|didomi|cc-window',
    'mw-editsection|mw-jump-link|mw-indicators|mw-cite-backlink|mw-redirectedfrom|mw-hidden-catlinks|noprint|printfooter|catlinks',
  ].join('|')})(?=$|[\\s_-])`,
  'iu',
)
const COOKIE_BAR =
  /cookies?[-_]?(?:banner|notice|consent|bar|popup|modal|law|overlay|dialog|message|wall|alert|policy-?(?:bar|banner))/iu
const HIDDEN_STYLE = /display\s*:\s*none|visibility\s*:\s*hidden/iu

/** Tells what of a page is not its content. A `lenient` frame is for a page of which nothing else would be left. */
export interface Frame {
  isSkipped(element: Element): boolean
}

/** So many links and hardly a word beside them are a menu, whatever it is called. */
const MIN_MENU_LINKS = 5
const MENU_SHARE = 0.85
const MAX_MENU_LINK_LENGTH = 40

export function lenientFrame(): Frame {
  return { isSkipped: isUnshown }
}

/** `root` is what is read of the page; lists of links are only looked for where no element says what its content is. */
export function strictFrame(root: AnyNode, { menus }: { menus: boolean }): Frame {
  const lists = menus ? linkLists(root) : new Set<Element>()
  return {
    isSkipped: (element) => isUnshown(element) || lists.has(element) || isFurniture(element),
  }
}

function isUnshown({ name, attribs }: Element): boolean {
  if (UNSHOWN.has(name) || 'hidden' in attribs || attribs['aria-hidden'] === 'true') return true
  return HIDDEN_STYLE.test(attribs['style'] ?? '')
}

function isFurniture(element: Element): boolean {
  const { name, attribs } = element
  if (WAYS.has(name) || ROLES.has(attribs['role'] ?? '') || attribs['aria-modal'] === 'true') return true
  if (name === 'body' || name === 'html' || name === 'main' || /^h[1-6]$/u.test(name)) return false
  // A page's header that holds its title is read for that.
  if (name === 'header') return !within(element, PARTS) && !holds(element, /^h[1-3]$/u)
  if (name === 'aside') return !within(element, PARTS)
  const named = [attribs['class'] ?? '', attribs['id'] ?? '']
  return named.some((each) => FURNITURE.test(each) || COOKIE_BAR.test(each))
}

const PARTS = /^(?:main|article|section)$/u

/** Elements that are looked at around one; a page that nests deeper is not a person's. */
const MAX_LOOKS = 2000

function within(element: Element, names: RegExp): boolean {
  let steps = 0
  for (let at = element.parent; at && steps < MAX_LOOKS; at = at.parent, steps++)
    if (isTag(at) && names.test(at.name)) return true
  return false
}

function holds(element: Element, names: RegExp): boolean {
  const stack: AnyNode[] = [...element.children]
  let steps = 0
  for (let node = stack.pop(); node !== undefined && steps < MAX_LOOKS; node = stack.pop(), steps++) {
    if (!isTag(node)) continue
    if (names.test(node.name)) return true
    for (const each of node.children) stack.push(each)
  }
  return false
}

interface Measure {
  text: number
  linked: number
  links: number
}

/** Lists and divisions that are links and nothing else. One walk, leaves first. */
function linkLists(root: AnyNode): Set<Element> {
  const found = new Set<Element>()
  const measures = new Map<AnyNode, Measure>()
  const stack: { node: AnyNode; done: boolean; link: boolean }[] = [{ node: root, done: false, link: false }]
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    const { node, done, link } = next
    if (isText(node)) {
      const length = node.data.trim().length
      measures.set(node, { text: length, linked: link ? length : 0, links: 0 })
    }
    if (!('children' in node) || (isTag(node) && UNSHOWN.has(node.name))) continue
    const inLink = link || (isTag(node) && node.name === 'a')
    if (!done) {
      stack.push({ node, done: true, link })
      for (const each of node.children) stack.push({ node: each, done: false, link: inLink })
      continue
    }
    const sum = { text: 0, linked: 0, links: inLink && !link ? 1 : 0 }
    for (const each of node.children) {
      const measure = measures.get(each)
      sum.text += measure?.text ?? 0
      sum.linked += measure?.linked ?? 0
      sum.links += measure?.links ?? 0
      measures.delete(each)
    }
    measures.set(node, sum)
    if (isTag(node) && /^(?:ul|ol|div)$/u.test(node.name) && isMenu(sum)) found.add(node)
  }
  return found
}

function isMenu({ text, linked, links }: Measure): boolean {
  return links >= MIN_MENU_LINKS && linked >= text * MENU_SHARE && linked / links <= MAX_MENU_LINK_LENGTH
}
