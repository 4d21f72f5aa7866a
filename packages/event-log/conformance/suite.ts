import { describe, expect, test } from 'vitest'
import { appendCases } from './cases-append.ts'
import { deliveryCases } from './cases-delivery.ts'
import { groupCases } from './cases-groups.ts'
import { createContext, type EventLogHarness } from './context.ts'
import { modelCases } from './model.ts'

const cases = { ...appendCases, ...deliveryCases, ...groupCases, ...modelCases }

/**
 * What every event log does. Runs unchanged on every adapter; `skip` names a case and the reason why the adapter
 * cannot hold it, and a name that is no case fails.
 */
export function eventLogConformance(
  name: string,
  makeHarness: () => Promise<EventLogHarness>,
  skip: Readonly<Record<string, string>> = {},
): void {
  describe(`event log: ${name}`, () => {
    test('skipped cases exist', () => {
      expect(Object.keys(skip).filter((title) => !(title in cases))).toEqual([])
    })

    for (const [title, run] of Object.entries(cases)) {
      test(title, async ({ skip: skipTest }) => {
        if (skip[title]) skipTest(skip[title])
        const harness = await makeHarness()
        const context = createContext(harness, await harness.open())
        try {
          await run(context)
        } finally {
          await harness.close(context.log())
        }
      })
    }
  })
}
