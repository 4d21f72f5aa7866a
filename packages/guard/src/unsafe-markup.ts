/** What is active in HTML, SVG and MathML: which elements, attributes and addresses run, fetch or deceive. */

export type UnsafeKind =
  | 'script'
  | 'event_handler'
  | 'javascript_url'
  | 'data_url'
  | 'iframe'
  | 'object'
  | 'svg'
  | 'form'
  | 'css'
  | 'meta'
  | 'dom_clobbering'
  | 'declaration'
  | 'binding'
  | 'markdown_image'
  | 'hidden_text'

const words = (text: string): string[] => text.split(' ')

export const ELEMENT_KINDS: ReadonlyMap<string, UnsafeKind> = new Map<string, UnsafeKind>([
  ...words('script noscript xml-script').map((name) => [name, 'script'] as const),
  ...words('iframe frame frameset portal vmlframe noframes').map((name) => [name, 'iframe'] as const),
  ...words('object embed applet param event-source bgsound xml keygen').map(
    (name) => [name, 'object'] as const,
  ),
  ...words(
    'foreignobject animate set animatetransform animatemotion animatecolor handler listener mglyph malignmark maction annotation-xml feimage',
  ).map((name) => [name, 'svg'] as const),
  ...words('style link').map((name) => [name, 'css'] as const),
  ...words('meta base').map((name) => [name, 'meta'] as const),
  ...words('plaintext xmp').map((name) => [name, 'declaration'] as const),
])

/** Their content is part of them, where they are closed. */
export const SWALLOWED_ELEMENTS: ReadonlySet<string> = new Set(
  words(
    'script noscript iframe noframes object applet style portal vmlframe foreignobject annotation-xml xml',
  ),
)

type Judge = (value: string, element: string) => UnsafeKind | null

const asUrl: Judge = (value, element) => urlKind(value, element)
const always =
  (kind: UnsafeKind): Judge =>
  () =>
    kind
// Names that shadow a property of `document` or of a form.
const CLOBBERED = new Set(
  words(
    'cookie body head documentelement forms images links scripts activeelement createelement getelementbyid queryselector implementation attributes children childnodes parentnode nodetype nodename innerhtml firstchild lastchild nextsibling ownerdocument removechild appendchild insertbefore setattribute removeattribute getattribute submit action location domain defaultview',
  ),
)
const clobbers: Judge = (value) => (CLOBBERED.has(value.trim().toLowerCase()) ? 'dom_clobbering' : null)
const namespace: Judge = (value) =>
  /^(?:urn:|x-schema:)/i.test(value.trim()) || /[<>]/.test(value) ? 'binding' : null
const styled: Judge = (value) => {
  const plain = value.replace(/\/\*[^*]*\*\/|\\/g, '').toLowerCase()
  if (/expression\s*\(|behaviou?r\s*:|-moz-binding|javascript:|@import|-o-link/.test(plain)) return 'css'
  return /(?:display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?!\.?\d*[1-9])|opacity\s*:\s*0(?:[;\s]|$))/.test(
    plain,
  )
    ? 'hidden_text'
    : null
}

export const ATTRIBUTE_KINDS: ReadonlyMap<string, Judge> = new Map<string, Judge>([
  ...words(
    'href src xlink:href action formaction background poster data dynsrc lowsrc manifest cite longdesc from to values by',
  ).map((name) => [name, asUrl] as const),
  ['style', styled],
  ['srcdoc', always('iframe')],
  ['http-equiv', always('meta')],
  ['name', clobbers],
  ['id', clobbers],
  ['xmlns', namespace],
  ...words('datasrc datafld dataformatas repeat-start ev:event ev:handler').map(
    (name) => [name, always('binding')] as const,
  ),
])

/** Elements that show a `data:` address as a picture or sound and never as a page. */
const MEDIA = new Set(words('img audio video source image input track picture'))

/** What an address does beyond being fetched; entities, escapes and control characters are undone first. */
export function urlKind(value: string, element: string): UnsafeKind | null {
  const plain = decodeEntities(value.slice(0, 4096))
    // Browsers skip these inside a scheme.
    .replace(/[\p{Cc}\p{Z}\p{Default_Ignorable_Code_Point}]/gu, '')
    .replace(/%(?:3a|09|0a|0d)/gi, (escape) => (escape.toLowerCase() === '%3a' ? ':' : ''))
    .toLowerCase()
  if (/^(?:javascript|vbscript|livescript|mocha):/.test(plain)) return 'javascript_url'
  if (!plain.startsWith('data:')) return null
  if (
    /^data:(?:text\/html|text\/xml|application\/xhtml|application\/xml|text\/javascript|application\/javascript)/.test(
      plain,
    )
  )
    return 'data_url'
  return MEDIA.has(element)
    ? null
    : /^data:image\/(?:png|jpe?g|gif|webp|avif|bmp)/.test(plain)
      ? null
      : 'data_url'
}

const NAMED: Readonly<Record<string, string>> = {
  colon: ':',
  tab: '',
  newline: '',
  lpar: '(',
  rpar: ')',
  amp: '&',
  sol: '/',
}

function decodeEntities(value: string): string {
  if (!value.includes('&')) return value
  return value.replace(
    /&(?:#x([0-9a-f]{1,6})|#(\d{1,7})|([a-z]{2,8}));?/gi,
    (whole, hex: string | undefined, decimal: string | undefined, name: string | undefined) => {
      if (name !== undefined) return NAMED[name.toLowerCase()] ?? whole
      const code = hex === undefined ? Number.parseInt(decimal ?? '0', 10) : Number.parseInt(hex, 16)
      return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : ''
    },
  )
}
