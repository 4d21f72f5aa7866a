import { foldWord, isStopWord, stem } from '@aquifer/text/terms'

/** One word of a text, with its place and what matching needs to know of it. */
export interface Word {
  /** UTF-16 range in the text that was given. */
  readonly start: number
  readonly end: number
  readonly folded: string
  readonly stem: string
  readonly stop: boolean
  /** Starts with a capital, or is all digits and letters such as `3G`. */
  readonly capital: boolean
  readonly digits: boolean
}

const WORD = /\p{N}+(?:[.,]\p{N}+)*[\p{L}\p{M}\p{N}]*|[\p{L}\p{M}\p{N}]+(?:['’]\p{L}+)?/gu
/** A longer run of letters is no word that a question could name. */
const MAX_WORD_LENGTH = 64

/** The words of a text, in order. `offset` is where the text stands in what their ranges index. */
export function wordsOf(text: string, offset = 0): Word[] {
  const found: Word[] = []
  for (const match of text.matchAll(WORD)) {
    const raw = match[0]
    const digits = /\p{N}/u.test(raw)
    const folded = (digits ? raw.replace(/,(?=\d{3})/g, '').toLowerCase() : foldWord(raw)).slice(
      0,
      MAX_WORD_LENGTH,
    )
    if (folded === '') continue
    found.push({
      start: offset + match.index,
      end: offset + match.index + raw.length,
      folded,
      stem: stemOf(folded),
      stop: isStopWord(folded),
      capital: /^\p{Lu}/u.test(raw),
      digits,
    })
  }
  return found
}

/** Forms and kin of words that a stemmer leaves apart, under one name. */
const KIN = new Map(
  (
    'die:died,dies,dead,death,deceased,dying born:birth begin:began,begun,beginning win:won,winner lead:led write:wrote,written,writer ' +
    'build:built make:made take:took,taken give:gave,given become:became discover:discovery find:found ' +
    'speak:spoke,spoken,speech know:known,knew grow:grew,grown,growth choose:chose,chosen,choice lose:lost,loss sell:sold,sale ' +
    'buy:bought,purchase,purchased teach:taught bring:brought fight:fought hold:held,holding keep:kept leave:left meet:met,meeting ' +
    'send:sent spend:spent think:thought fall:fell,fallen rise:rose,risen drive:drove,driven see:saw,seen show:shown sing:sang,sung,singer ' +
    'draw:drew,drawn break:broke,broken steal:stole,stolen wear:wore,worn throw:threw,thrown marry:married,marriage ' +
    'live:lived,lives,living,life bear:bore,borne freeze:froze,frozen swim:swam eat:ate,eaten feed:fed,feeding run:ran,running ' +
    'man:men woman:women child:children foot:feet person:people mouse:mice tooth:teeth wife:wives ' +
    'long:length high:height wide:width deep:depth strong:strength hot:heat pay:paid,payment say:said tell:told catch:caught'
  )
    .split(' ')
    .flatMap((entry) => {
      const [name = '', forms = ''] = entry.split(':')
      return [name, ...forms.split(',')].map((form): [string, string] => [form, name])
    })
    // The first entry that names a form keeps it.
    .toReversed(),
)

/** A folded word's stem, one for all kin of a word. */
export function stemOf(folded: string): string {
  return stem(KIN.get(folded) ?? folded)
}

/** What the question's and the evidence's everyday words weigh against its names and subjects. */
const EVERYDAY = new Set(
  (
    'also although among another around away back become became begin began best better big bring brought call came case ' +
    'cause certain change come common consider contain country day describe develop different early end especially even ' +
    'event example exist fact famous find first follow form found general get give go good great group happen help high ' +
    'hold however important include increase instead involve keep kind know known large last late later lead led left ' +
    'less let life like likely list live long look lose low main major make made man many may mean member mention might ' +
    'modern much must name need never new next now number occur often old one open order part people percent person place play ' +
    'point possible present produce provide put reason refer region remain require result role run said saw say second see seem ' +
    'several show since small something sometimes sort start state still take term thing think three time today ' +
    'together took two type use used using usual various want way well went within without word work world write year yet'
  )
    .split(' ')
    .map(stemOf),
)

export function isEveryday(word: Pick<Word, 'stem'>): boolean {
  return EVERYDAY.has(word.stem)
}

/** Share of the longer word that both begin with, 0 to 1: finds what a stemmer leaves apart. */
export function sharedPrefix(a: string, b: string): number {
  const most = Math.min(a.length, b.length)
  let same = 0
  while (same < most && a[same] === b[same]) same++
  return same / Math.max(a.length, b.length)
}

/** Whether one letter was left out, put in or mistaken; short words and other first letters are other words. */
export function misspelt(a: string, b: string): boolean {
  if (a[0] !== b[0] || Math.min(a.length, b.length) < 5 || Math.abs(a.length - b.length) > 1) return false
  let from = 0
  while (from < a.length && a[from] === b[from]) from++
  let [endA, endB] = [a.length, b.length]
  while (endA > from && endB > from && a[endA - 1] === b[endB - 1]) {
    endA--
    endB--
  }
  return endA - from <= 1 && endB - from <= 1 && !/\d/.test(a)
}
