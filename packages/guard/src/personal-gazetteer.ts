/** Small word lists that tell what a word may be. Countries come from the runtime's own locale data. */

const GIVEN_NAMES =
  'james mary john patricia robert jennifer michael linda david elizabeth william barbara richard susan joseph jessica thomas sarah charles karen christopher lisa daniel nancy matthew betty anthony margaret mark sandra donald ashley steven kimberly paul emily andrew donna joshua michelle kenneth carol kevin amanda brian melissa george deborah timothy stephanie ronald rebecca edward laura jason helen jeffrey sharon ryan cynthia jacob kathleen gary amy nicholas angela eric anna jonathan ruth stephen brenda larry pamela justin nicole scott katherine brandon samantha benjamin christine samuel emma gregory catherine frank virginia alexander rachel raymond carolyn patrick janet jack maria dennis heather jerry diane tyler julie aaron joyce jose victoria adam kelly nathan christina henry lauren zachary joan peter evelyn kyle olivia noah judith liam mia ethan sophia lucas charlotte mason amelia logan harper oliver isabella elijah ava aiden ella jayden grace maya leo hannah max lena felix lea paul lara jan nina tim eva tom julia lukas sara luis sofia carlos lucia javier carmen miguel ana pablo elena diego marta jorge pedro manuel rosa antonio francisco giovanni giulia marco francesca luca chiara matteo alessandra pierre marie jean sophie louis camille antoine claire françois isabelle hans ursula klaus petra jürgen monika wolfgang sabine stefan lars anders ingrid erik astrid sven karin olaf kari bjorn ole mette jens hanne mikko aino juha liisa jan katarzyna piotr agnieszka tomasz malgorzata pavel jana petr eva ivan olga dmitri natalia sergei tatiana alexei svetlana mehmet fatma ahmed fatima mohammed aisha ali zeynep omar layla yusuf amir noor wei li ming jing hiroshi yuki kenji sakura haruto minjun seo-yeon raj priya amit anita sanjay deepa arjun kavita nguyen linh'
const NATIONALITIES =
  'american british english scottish welsh irish french german italian spanish portuguese dutch belgian swiss austrian swedish norwegian danish finnish icelandic polish czech slovak hungarian romanian bulgarian greek turkish russian ukrainian serbian croatian slovenian bosnian albanian estonian latvian lithuanian chinese japanese korean vietnamese thai indian pakistani indonesian filipino australian canadian mexican brazilian argentinian chilean peruvian colombian cuban egyptian moroccan nigerian kenyan ethiopian israeli iranian iraqi syrian lebanese saudi afghan european african asian jewish muslim christian catholic protestant buddhist hindu greenlander hispanic latino arab'
const STREET_WORDS =
  'street st avenue ave road rd lane ln drive dr court ct boulevard blvd way place pl square sq terrace parkway pkwy highway hwy strasse straße str rue via calle plaza gasse weg allee platz laan straat plein gatan väg vej gade katu tie utca ulica ul rua avenida praça piazza corso viale apt apartment suite unit floor box flat room po dpo fpo apo building corner'
const ORGANISATION_WORDS =
  'inc ltd llc corp corporation company co gmbh ag plc group bank university institute association foundation society agency department ministry council committee partners holdings technologies solutions systems services industries international labs sons orchestra limited sa nv bv oy ab'
const TITLES = 'mr mrs ms miss dr prof professor sir madam lord lady rev captain president senator judge'
const MONTHS =
  'january february march april may june july august september october november december jan feb mar apr jun jul aug sep sept oct nov dec monday tuesday wednesday thursday friday saturday sunday today yesterday tomorrow'
const STATES =
  'alabama alaska arizona arkansas california colorado connecticut delaware florida georgia hawaii idaho illinois indiana iowa kansas kentucky louisiana maine maryland massachusetts michigan minnesota mississippi missouri montana nebraska nevada ohio oklahoma oregon pennsylvania tennessee texas utah vermont virginia washington wisconsin wyoming london paris berlin madrid rome vienna amsterdam brussels dublin lisbon tokyo beijing sydney toronto chicago boston seattle miami'

export const GAZETTEERS = 8

let lists: Map<string, number> | null = null

/** A bit for each list that holds the word (lower case). */
export function gazetteerBits(word: string): number {
  lists ??= build()
  return lists.get(word) ?? 0
}

function build(): Map<string, number> {
  const built = new Map<string, number>()
  const add = (words: readonly string[], bit: number): void => {
    for (const word of words) built.set(word, (built.get(word) ?? 0) | (1 << bit))
  }
  for (const [bit, words] of [
    GIVEN_NAMES,
    NATIONALITIES,
    STREET_WORDS,
    ORGANISATION_WORDS,
    TITLES,
    MONTHS,
    STATES,
  ].entries())
    add(words.split(' '), bit)
  add(countryWords(), 7)
  return built
}

function countryWords(): string[] {
  const names = new Intl.DisplayNames('en', { type: 'region', fallback: 'none' })
  const letters = Array.from('ABCDEFGHIJKLMNOPQRSTUVWXYZ')
  return letters
    .flatMap((first) => letters.map((second) => names.of(first + second) ?? ''))
    .flatMap((name) => name.toLowerCase().split(/[^\p{L}]+/u))
    .filter(
      (word) =>
        word.length > 3 &&
        ![
          'islands',
          'island',
          'united',
          'south',
          'north',
          'central',
          'saint',
          'republic',
          'outlying',
          'unknown',
          'region',
          'pseudo',
          'accents',
        ].includes(word),
    )
}
