import { kills } from './faults-kill.ts'
import { ofParts } from './faults-parts.ts'
import { atWork } from './faults-work.ts'
import type { Fault } from './run-fault.ts'

const none: Fault = {
  name: 'none',
  about: 'nothing: what the others are to be compared with',
  run: async ({ load }) => await load.aWhile(),
}

export const faults: readonly Fault[] = [none, ...kills, ...atWork, ...ofParts]
