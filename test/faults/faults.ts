import { kills } from './faults-kill.ts'
import { ofParts } from './faults-parts.ts'
import { atWork } from './faults-work.ts'
import type { Fault } from './run-fault.ts'

export const faults: readonly Fault[] = [...kills, ...atWork, ...ofParts]
