import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: [
            'packages/*/src/**/*.test.ts',
            'services/*/src/**/*.test.ts',
            'services/console/web/**/*.test.ts',
            'test/*.test.ts',
            'test/regression/**/*.test.ts',
          ],
          testTimeout: 30_000,
        },
      },
      {
        test: { name: 'conformance', include: ['packages/*/conformance/**/*.test.ts'], testTimeout: 60_000 },
      },
      {
        test: {
          name: 'sim',
          include: ['test/sim/**/*.test.ts', 'test/oracle/**/*.test.ts'],
          testTimeout: 600_000,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          testTimeout: 180_000,
          hookTimeout: 180_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'containers',
          include: ['test/containers/**/*.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 900_000,
          fileParallelism: false,
          // Its reaper is a public image, which not every machine can pull; the tests stop what they start.
          env: { TESTCONTAINERS_RYUK_DISABLED: 'true' },
        },
      },
    ],
  },
})
