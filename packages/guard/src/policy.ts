import { screenInjection, type TextRole } from './injection.ts'
import { clean, replacePersonal, replaceSpans, stripUnsafe } from './inspect.ts'
import { findPersonal, IDENTIFYING_TYPES, type TextStyle } from './personal.ts'
import { findUnsafe } from './unsafe.ts'

/** What happens to a text in which something is found, from mild to severe. */
export const ACTIONS = ['allow', 'mark', 'redact', 'quarantine'] as const
export type Action = (typeof ACTIONS)[number]

/** One action a class of finding. `allow` means that the class is not looked for. */
export interface GuardPolicy {
  readonly injection: Action
  readonly personalData: Action
  readonly unsafe: Action
  /** The types of personal data that count. */
  readonly personalTypes: readonly string[]
}

/** For documents at the door: evidence is data anyway, so what is suspicious is said and not taken away. */
export const DOCUMENT_POLICY: GuardPolicy = {
  injection: 'mark',
  personalData: 'allow',
  unsafe: 'mark',
  personalTypes: IDENTIFYING_TYPES,
}

/** For what goes to the sampled topic and to traces. */
export const SAMPLED_POLICY: GuardPolicy = {
  injection: 'allow',
  personalData: 'redact',
  unsafe: 'allow',
  personalTypes: IDENTIFYING_TYPES,
}

export interface Screening {
  /** Such as `injection:indirect`, `personal:EMAIL_ADDRESS`, `unsafe:script`; sorted, each once. */
  readonly verdicts: readonly string[]
  /** The most severe action of a class with a finding. */
  readonly action: Action
  /** The text as it may go on: redacted where the policy says so, else as it was given. */
  readonly text: string
}

/** Screens a text by a policy. Linear in the text; never throws. */
export function screen(text: string, role: TextRole, policy: GuardPolicy): Screening {
  const verdicts = new Set<string>()
  let action: Action = 'allow'
  const note = (verdict: string, by: Action): void => {
    verdicts.add(verdict)
    if (ACTIONS.indexOf(by) > ACTIONS.indexOf(action)) action = by
  }
  if (policy.injection !== 'allow') {
    const { flagged, kind } = screenInjection(text, role)
    if (flagged && kind !== null) note(`injection:${kind}`, policy.injection)
  }
  if (policy.personalData !== 'allow')
    for (const { type } of findPersonal(text, styleOf(role), policy.personalTypes))
      note(`personal:${type}`, policy.personalData)
  if (policy.unsafe !== 'allow')
    for (const { kind } of findUnsafe(text)) note(`unsafe:${kind}`, policy.unsafe)
  return {
    verdicts: [...verdicts].toSorted(),
    action,
    text: verdicts.size > 0 ? redact(text, policy, role) : text,
  }
}

export function screenDocument(text: string, policy: GuardPolicy = DOCUMENT_POLICY): Screening {
  return screen(text, 'document', policy)
}

/** The text after what the policy redacts: planted sentences, active content, personal data. */
export function redact(
  text: string,
  policy: GuardPolicy = SAMPLED_POLICY,
  role: TextRole = 'document',
): string {
  let left = text
  if (policy.injection === 'redact')
    left = replaceSpans(left, screenInjection(left, role).spans, () => '[INJECTION]')
  const personal = policy.personalData === 'redact'
  if (personal && policy.unsafe === 'redact') return clean(left, styleOf(role), policy.personalTypes)
  if (policy.unsafe === 'redact') return stripUnsafe(left)
  return personal ? replacePersonal(left, styleOf(role), policy.personalTypes) : left
}

const styleOf = (role: TextRole): TextStyle => (role === 'input' ? 'message' : 'prose')
