/**
 * Sentence frames written for this project, filled with the names, places and addresses of the rows that a fit may see.
 * They show the tagger wordings that the data's few templates lack, and texts in which there is nothing to find.
 */
const MARKED: Readonly<Record<string, string>> = {
  P: 'PERSON',
  L: 'LOCATION',
  O: 'ORGANIZATION',
  A: 'ADDRESS',
  D: 'DATE_TIME',
  N: 'NRP',
  G: 'AGE',
}

const FRAMES: readonly string[] = [
  'My name is {P} and I live in {L}.',
  'I am {P}.',
  "I'm {P}, nice to meet you.",
  'This is {P} from {O}.',
  'Hello, {P} speaking.',
  'Hi {P},\nthank you for your message.',
  'Dear {P},\n\nplease find the papers attached.',
  'Dear Mr. {P}, your order has been sent to {A}.',
  'Best regards,\n{P}',
  'Kind regards\n{P}\n{O}\n{A}',
  'Yours sincerely,\n{P}\n{O}',
  '{P} works at {O} in {L}.',
  '{P} joined {O} in {D}.',
  '{P} and {P} met in {L}.',
  '{P}, {P} and {P} signed the contract.',
  'The report was written by {P}.',
  'Please ask {P} about it.',
  'I spoke to {P} yesterday.',
  'Can you forward this to {P}?',
  'Is {P} in the office today?',
  "{P}'s account was closed.",
  "I think {P}'s brother moved to {L}.",
  'Her name is {P}.',
  'His surname is {P}.',
  'What is your name? {P}',
  'User: {P}',
  'Name: {P}',
  'Customer: {P}\nAddress: {A}',
  'Ship to: {P}, {A}',
  'Send it to {A}.',
  'I live at {A}.',
  'We moved to {A} last year.',
  'The office is at {A}.',
  'My address is {A}',
  'our new address: {A}',
  'They met at {A} in the evening.',
  'Deliver the parcel to {A}, please.',
  'Where is {A}?',
  '{A}\n{L}',
  '{P}\n{A}\n{L}',
  'I was born in {L}.',
  'She comes from {L}.',
  'We are flying to {L} in June.',
  'The weather in {L} is cold.',
  'Has anyone been to {L}?',
  'He travelled from {L} to {L}.',
  'The company has offices in {L} and {L}.',
  '{L} is a small country.',
  'people in {L} like it',
  '{O} is based in {L}.',
  '{O} was founded by {P} in {D}.',
  'I have worked for {O} since {D}.',
  '{O} and {O} announced a merger.',
  'The shares of {O} fell.',
  'a spokesman of {O} said so',
  'She left {O} to join {O}.',
  'my employer is {O}',
  '{P} was born on {D}.',
  'It happened on {D}.',
  'The contract ends on {D}.',
  'In {D} the bridge was opened.',
  'The film came out in {D}.',
  'since {D} nothing has changed',
  '{P} is {G} years old.',
  'She is {G}.',
  'He died at the age of {G}.',
  'I am {G} and still working.',
  'My {N} neighbour is called {P}.',
  'She speaks {N} well.',
  'The {N} team won.',
  'He is a {N} citizen.',
  'a {N} restaurant in {L}',
  'The singer {P} will perform in {L}.',
  'A book by {P} about {L}.',
  'according to {P}, prices will rise',
  '"We are ready," said {P}.',
  '{P} told reporters that {O} would close.',
  'The president of {O}, {P}, resigned.',
  'I love the songs of {P}.',
  'Thanks {P}!',
  'cc {P}',
  'Contact: {P}',
  'The winner is {P}',
  '{P} won the race ahead of {P}.',
  'Professor {P} teaches in {L}.',
  'Dr. {P} will see you now.',
  'The patient, {P}, {G}, was seen on {D}.',
]

const EMPTY: readonly string[] = [
  'Run the command and restart the server.',
  'The Vector Index stores one point for each chunk.',
  'Open Settings, then choose Privacy.',
  'The API returns a JSON object.',
  'How do I reset my password?',
  'Is it possible to pay by card?',
  'Please call me when the order is ready.',
  'Thank You for your help.',
  'What Is New In Version 3',
  'Getting Started',
  'Use TypeScript or Python.',
  'The total is 1250 and the limit is 3000.',
  'Set the value to 42 in line 17.',
  'My phone does not work any more.',
  'The card was declined twice.',
  'Which Model Should I Choose?',
  'Good Morning, how can I help?',
  'Section 4 describes the Installation.',
  'Redis is an in-memory store; Kafka is a log.',
  'The Apache License applies.',
  'It was the best of times.',
  'Where can I find the nearest branch?',
  'No, not yet.',
  'Yes. Maybe later.',
  'I would like to open an account.',
  'The bus drops you off near the station.',
  'It takes 20 minutes or 30.',
  'Item 12345 is out of stock.',
  'Error 404: Page Not Found',
  'const Client = new Client(options)',
  'The Key is Read From the Environment.',
  'Is there a fee? Is it more than 5 percent?',
  'She said that he would come.',
  'Our team is very reliable.',
  'you can always change it later',
  'why is it so slow today',
  'The Manager approved the Request.',
  '> Note\n> This is a preview.',
  '| Name | Type | Default |',
  '- First item\n- Second item',
]

export interface Framed {
  readonly text: string
  /** UTF-16 units. */
  readonly spans: readonly { readonly start: number; readonly end: number; readonly type: string }[]
}

/** Each frame filled `times` times from `fillers` (by type), and the empty ones once. */
export function fillFrames(
  fillers: ReadonlyMap<string, readonly string[]>,
  times: number,
  random: () => number,
): Framed[] {
  const filled: Framed[] = EMPTY.map((text) => ({ text, spans: [] }))
  for (let round = 0; round < times; round++)
    for (const frame of FRAMES) {
      let text = ''
      const spans: { start: number; end: number; type: string }[] = []
      for (const piece of frame.split(/(\{[A-Z]\})/)) {
        const type = /^\{[A-Z]\}$/.test(piece) ? MARKED[piece[1] ?? ''] : undefined
        const choices = fillers.get(type ?? '') ?? []
        const value = choices[Math.floor(random() * choices.length)] ?? piece
        if (type !== undefined && choices.length > 0)
          spans.push({ start: text.length, end: text.length + value.length, type })
        text += type === undefined ? piece : value
      }
      // A tenth in small letters, as people type.
      filled.push({
        text: random() < 0.1 && text.toLowerCase().length === text.length ? text.toLowerCase() : text,
        spans,
      })
    }
  return filled
}
