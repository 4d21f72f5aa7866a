import { inspect } from './inspect.ts'
import type { Inspection } from './inspect.ts'
import type { TextRole } from './injection.ts'
import { redact } from './policy.ts'

export type GuardTask =
  | { readonly kind: 'inspect'; readonly text: string; readonly as: TextRole }
  | { readonly kind: 'redact'; readonly texts: readonly string[] }

export default function guardTask(task: GuardTask): Inspection | string[] {
  return task.kind === 'inspect' ? inspect(task.text, task.as) : task.texts.map((text) => redact(text))
}
