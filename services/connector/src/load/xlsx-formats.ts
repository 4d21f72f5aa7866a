import { format, getFormatFromId, isValidFormat } from 'numfmt'

import { attribute, child, descendants, elements } from './xml.ts'
import type { XmlNode } from './xml.ts'

export interface CellFormats {
  /** A cell's value as its sheet shows it. `type` is the cell's, `style` its place among the workbook's formats. */
  show(value: string, type: string, style: number): string
}

const GENERAL = 'General'
/** Days between the two ways to count them. */
const DAYS_TO_1904 = 1462
const BOOLEANS: Readonly<Record<string, string>> = { '0': 'FALSE', '1': 'TRUE' }

export function createCellFormats(styles: XmlNode | null, date1904: boolean): CellFormats {
  const codes = new Map<number, string>()
  for (const each of styles ? descendants(styles, 'numFmt') : [])
    codes.set(Number(attribute(each, 'numFmtId')), attribute(each, 'formatCode') ?? GENERAL)
  const root = styles ? elements(styles)[0] : undefined
  const patterns = elements(child(root, 'cellXfs') ?? { name: '', attributes: {}, children: [] }, 'xf').map(
    (each) => {
      const id = Number(attribute(each, 'numFmtId') ?? 0)
      const code = codes.get(id) ?? getFormatFromId(id) ?? GENERAL
      return isValidFormat(code) ? code : GENERAL
    },
  )
  return {
    show(value, type, style) {
      if (type === 'b') return BOOLEANS[value.trim()] ?? value
      if (type !== 'n') return value
      const number = Number(value)
      if (!Number.isFinite(number)) return value
      const pattern = patterns[style] ?? GENERAL
      // A sheet rounds what has no format of its own to the width of its column; its value is what is meant.
      if (pattern === GENERAL) return String(Number(number.toPrecision(15)))
      const dated = date1904 && /[ymdhs]/iu.test(pattern)
      return format(pattern, dated ? number + DAYS_TO_1904 : number, { throws: false }).trim()
    },
  }
}
