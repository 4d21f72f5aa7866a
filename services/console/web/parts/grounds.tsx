import type { AnswerFacts, Evaluation } from '../lib/types.ts'
import { texts } from '../texts.ts'
import { CheckIcon, WarnIcon } from './icons.tsx'

interface GroundsProps {
  readonly facts: AnswerFacts
  /** Comes later, for sampled answers. */
  readonly evaluation: Evaluation | null
}

/** A claim's score is the probability that the evidence supports it. */
const SUPPORTED = 0.5

/** Whether the sources support the answer: at once by a quick score, then by the evaluator's. */
export function Grounds({ facts, evaluation }: GroundsProps) {
  const grounded = evaluation?.grounded ?? facts.grounded
  const score =
    evaluation?.results.find(({ name }) => name === 'groundedness')?.scoreValue ?? facts.groundedness
  if (score === null) return null
  const claims = evaluation?.claims ?? []
  const supported = claims.filter((claim) => claim.score >= SUPPORTED).length
  const details = [
    texts.groundedness(score),
    ...(claims.length > 0 ? [texts.claimsSupported(supported, claims.length)] : []),
    ...(evaluation ? [texts.evaluated] : []),
  ]
  return (
    <p className={grounded ? 'grounds good' : 'grounds poor'}>
      {grounded ? <CheckIcon /> : <WarnIcon />}
      <span>
        <strong>{grounded ? texts.supported : texts.unsupported}</strong>
        <span className="muted">{` · ${details.join(' · ')}`}</span>
      </span>
    </p>
  )
}
