/**
 * A window of text as hashed features: words, word pairs, how the sentence opens, word beginnings and endings, and
 * which concepts of an attack occur together. The fit and the screen read texts through this one function.
 */

export const FEATURE_BITS = 16
const FEATURES = 1 << FEATURE_BITS
const MASK = FEATURES - 1
/** Enough for a window of 800 characters; what is beyond is not read. */
export const MAX_FEATURES = 2048
const MAX_TOKENS = 256

/** Concepts of an instruction that is aimed at a model, in the languages that the words are easily given for. */
const CONCEPTS: readonly string[] = [
  // override
  'ignore ignoring ignores disregard disregarding forget override bypass neglect overlook dismiss discard circumvent ignora ignorar ignorez ignorer ignoriere ignorieren vergiss olvida oublie oubliez dimentica esqueça negeer vergeet ignoruj игнорируй игнорируйте забудь',
  // what came before
  'previous previously prior above earlier preceding foregoing former anteriores anterior précédentes précédents vorherigen vorigen precedenti poprzednie предыдущие',
  // instructions
  'instruction instructions prompt prompts rule rules guideline guidelines directions directive directives constraints restrictions limitations instrucciones reglas consignes règles anweisungen regeln istruzioni instruções instructies polecenia инструкции правила',
  // the reply
  'response responses reply replies answer answers output message respuesta réponse antwort risposta resposta ответ',
  'your yours tu su votre ta deine ihre tua sua',
  'you user users assistant',
  // role
  'act pretend roleplay simulate persona character imagine impersonate emulate fictional hypothetical scenario',
  // no limits
  'unfiltered uncensored unrestricted jailbreak jailbroken dan ethical ethics moral morals illegal unethical immoral policies openai developer filters censorship disclaimer disclaimers warnings refuse comply obey consent unlimited',
  // acts asked for
  'write print say output include insert add integrate incorporate embed append translate encode render convert provide summarize describe explain list show tell give generate create determine classify recommend suggest discuss compare identify find compose reply respond repeat reveal modify replace use apply begin start finish end focus state mention promote advise inform offer analyze evaluate propose outline calculate solve rewrite paraphrase shift reverse invert express execute run',
  // secrets
  'password passwords secret secrets confidential credentials token tokens key keys bank details private',
  // sending away
  'send post forward email upload transmit fetch curl visit click share download subscribe exfiltrate leak',
  // the model itself
  'ai model llm chatbot chatgpt gpt claude gemini bot assistant language bing siri',
  // marks of a dialogue
  'system user human instruction session end begin task context im_start im_end inst sys admin administrator developer',
  'now new instead only must always never exactly strictly',
]

const conceptOf = new Map<number, number>()
for (const [concept, words] of CONCEPTS.entries())
  for (const word of words.split(' ')) {
    const hash = hashWord(word)
    conceptOf.set(hash, (conceptOf.get(hash) ?? 0) | (1 << concept))
  }

function hashWord(word: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < word.length; at++) hash = Math.imul(hash ^ word.charCodeAt(at), 0x01000193)
  return hash
}

const mix = (a: number, b: number): number => {
  const mixed = Math.imul(a ^ (b << 7) ^ (b >>> 11), 0x9e3779b1)
  return mixed ^ (mixed >>> 15)
}

// Character classes of ASCII: 1 letter, 2 digit, 3 punctuation that says something, 0 the rest.
const CLASS = new Uint8Array(128)
for (let code = 97; code <= 122; code++) CLASS[code] = 1
for (let code = 48; code <= 57; code++) CLASS[code] = 2
for (const mark of '?:!"<>[]{}|#=`_/$%*') CLASS[mark.charCodeAt(0)] = 3

const isIdeograph = (code: number): boolean => code >= 0x3040 && code <= 0x9fff

const tokens = new Int32Array(MAX_TOKENS)

export const features: Int32Array = new Int32Array(MAX_FEATURES)
export const topics: Int32Array = new Int32Array(MAX_TOKENS)
export const counts = { features: 0, topics: 0 }

/** Fills `features` and `topics` for a folded window; the arrays are shared and valid until the next call. */
export function readWindow(folded: string): void {
  counts.features = 0
  counts.topics = 0
  const tokenCount = readTokens(folded)
  let concepts = 0
  for (let at = 0; at < tokenCount; at++) {
    const token = tokens[at] ?? 0
    concepts |= conceptOf.get(token) ?? 0
    put(token, 1)
    if (at > 0) put(mix(tokens[at - 1] ?? 0, token), 2)
    if (at > 1) put(mix(tokens[at - 2] ?? 0, token), 3)
  }
  const first = tokens[0] ?? 0
  put(first, 5)
  put(mix(first, tokens[1] ?? 0), 6)
  put(conceptOf.get(first) ?? 0, 7)
  put(conceptOf.get(tokens[1] ?? 0) ?? 0, 8)
  put(Math.min(6, 31 - Math.clz32(tokenCount + 1)), 9)
  for (let a = 0; a < CONCEPTS.length; a++) {
    if ((concepts & (1 << a)) === 0) continue
    put(a, 10)
    for (let b = a + 1; b < CONCEPTS.length; b++) if ((concepts & (1 << b)) !== 0) put(a * 32 + b, 11)
  }
}

/** Adds a feature that the window alone does not hold, such as its place in the document. */
export function put(value: number, kind: number): void {
  if (counts.features < MAX_FEATURES) features[counts.features++] = (mix(value, kind) >>> 3) & MASK
}

function readTokens(folded: string): number {
  let count = 0
  const length = folded.length
  for (let at = 0; at < length && count < MAX_TOKENS;) {
    const code = folded.charCodeAt(at)
    const kind = code < 128 ? (CLASS[code] ?? 0) : isIdeograph(code) ? 4 : code > 191 ? 1 : 0
    if (kind === 1) {
      let hash = 0x811c9dc5
      let prefix = 0
      const start = at
      for (; at < length; at++) {
        const next = folded.charCodeAt(at)
        if (
          next < 128 ? CLASS[next] !== 1 && next !== 39 : next <= 191 || next === 0x2019 || isIdeograph(next)
        )
          break
        hash = Math.imul(hash ^ next, 0x01000193)
        if (at - start === 3) prefix = hash
      }
      tokens[count++] = hash
      if (at - start >= 4) {
        topics[counts.topics++] = hash
        put(prefix, 12)
      }
    } else {
      at++
      if (kind === 2) {
        while (at < length && CLASS[folded.charCodeAt(at)] === 2) at++
        tokens[count++] = 35
      } else if (kind !== 0) tokens[count++] = code
    }
  }
  return count
}
