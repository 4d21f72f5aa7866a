import { attribute, child, descendants, elements } from './xml.ts'
import type { XmlNode } from './xml.ts'

export interface Numbering {
  /** Counts one more paragraph of a list; null where it is in none. `own` goes before the style's. */
  next(own: XmlNode | undefined, style: XmlNode | undefined): Marker | null
}

export interface Marker {
  readonly bullet: boolean
  /** As Word shows it, such as `2.1.` */
  readonly marker: string
  /** From 0. */
  readonly level: number
}

interface Level {
  readonly format: string
  readonly text: string
  readonly start: number
}

const MAX_LEVEL = 8

export function createNumbering(xml: XmlNode | null): Numbering {
  const lists = new Map<string, Level[]>()
  for (const list of xml ? descendants(xml, 'abstractNum') : [])
    lists.set(attribute(list, 'abstractNumId') ?? '', levelsOf(list))
  const numbers = new Map<string, { list: string; starts: Map<number, number> }>()
  for (const number of xml ? descendants(xml, 'num') : [])
    numbers.set(attribute(number, 'numId') ?? '', {
      list: attribute(child(number, 'abstractNumId'), 'val') ?? '',
      starts: new Map(
        elements(number, 'lvlOverride').flatMap((each) => {
          const start = attribute(child(each, 'startOverride'), 'val')
          return start === undefined ? [] : [[Number(attribute(each, 'ilvl') ?? 0), Number(start)] as const]
        }),
      ),
    })
  /** Lists count on over all numbers that share them; a start of its own begins one again, once. */
  const counts = new Map<string, (number | undefined)[]>()
  const begun = new Set<string>()

  return {
    next(own, style) {
      const id = attribute(child(own, 'numId'), 'val') ?? attribute(child(style, 'numId'), 'val')
      const number = id === undefined || id === '0' ? undefined : numbers.get(id)
      if (!number) return null
      const stated = attribute(child(own, 'ilvl'), 'val') ?? attribute(child(style, 'ilvl'), 'val') ?? '0'
      const level = Math.min(Math.max(Math.trunc(Number(stated)) || 0, 0), MAX_LEVEL)
      const levels = lists.get(number.list) ?? []
      const counter = counts.get(number.list) ?? []
      counts.set(number.list, counter)
      const start = number.starts.get(level)
      const first = start !== undefined && !begun.has(`${id}/${level}`)
      begun.add(`${id}/${level}`)
      const before = first ? undefined : counter[level]
      counter[level] = before === undefined ? (start ?? levels[level]?.start ?? 1) : before + 1
      counter.length = level + 1
      const { format = 'bullet', text = '' } = levels[level] ?? {}
      if (format === 'bullet' || format === 'none') return { bullet: true, marker: '-', level }
      const marker = text.replace(/%([1-9])/gu, (_, digit: string) => {
        const at = Number(digit) - 1
        return numeral(counter[at] ?? levels[at]?.start ?? 1, levels[at]?.format ?? 'decimal')
      })
      return { bullet: marker.trim() === '', marker: marker.trim(), level }
    },
  }
}

function levelsOf(list: XmlNode): Level[] {
  const levels: Level[] = []
  for (const each of elements(list, 'lvl')) {
    const level = Number(attribute(each, 'ilvl') ?? 0)
    if (!(level >= 0 && level <= MAX_LEVEL)) continue
    levels[level] = {
      format: attribute(child(each, 'numFmt'), 'val') ?? 'decimal',
      text: attribute(child(each, 'lvlText'), 'val') ?? '',
      start: Number(attribute(child(each, 'start'), 'val') ?? 1) || 0,
    }
  }
  return levels
}

const ROMAN: readonly (readonly [number, string])[] = [
  [1000, 'm'],
  [900, 'cm'],
  [500, 'd'],
  [400, 'cd'],
  [100, 'c'],
  [90, 'xc'],
  [50, 'l'],
  [40, 'xl'],
  [10, 'x'],
  [9, 'ix'],
  [5, 'v'],
  [4, 'iv'],
  [1, 'i'],
]

function numeral(value: number, format: string): string {
  if (value < 1 || value > 9999) return String(value)
  switch (format) {
    case 'lowerLetter':
    case 'upperLetter': {
      // a to z, then aa to zz, as Word counts.
      const letter = String.fromCharCode(97 + ((value - 1) % 26)).repeat(Math.ceil(value / 26))
      return format === 'upperLetter' ? letter.toUpperCase() : letter
    }
    case 'lowerRoman':
    case 'upperRoman': {
      let rest = value
      let text = ''
      for (const [size, digits] of ROMAN) for (; rest >= size; rest -= size) text += digits
      return format === 'upperRoman' ? text.toUpperCase() : text
    }
    case 'decimalZero':
      return String(value).padStart(2, '0')
    default:
      return String(value)
  }
}
