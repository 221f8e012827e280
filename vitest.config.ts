import { defineConfig } from 'vitest/config';

const minute = 60_000;

/** Suites run one after the other; those with servers also one file at a time, or they measure each other's load. */
function suite(order: number, name: string, timeout: number, servers: boolean) {
  return {
    extends: true as const,
    test: {
      name,
      include: [`test/${name}/**/*.test.ts`],
      testTimeout: timeout,
      hookTimeout: timeout,
      sequence: { groupOrder: order },
      ...(servers && { globalSetup: 'test/support/global-setup.ts', maxWorkers: 1 }),
    },
  };
}

export default defineConfig({
  test: {
    // The native module of the Temporal SDK does not bear worker threads.
    pool: 'forks',
    projects: [
      suite(0, 'unit', 20_000, false),
      suite(1, 'workflows', 2 * minute, true),
      suite(2, 'replay', 2 * minute, true),
      suite(3, 'integration', 3 * minute, true),
      suite(4, 'security', 3 * minute, true),
      suite(5, 'e2e', 10 * minute, true),
    ],
    coverage: {
      provider: 'v8',
      // Workflows run inside Temporal's sandbox, from a bundle: V8 counts nothing there. Their suites stand for them.
      include: ['activities/**', 'adapters/**', 'client/**', 'config/**', 'domain/**', 'worker/**'],
      reporter: ['text-summary', 'html', 'json-summary'],
      thresholds: {
        statements: 80,
        branches: 80,
        functions: 80,
        lines: 80,
        'domain/**': { lines: 90, branches: 90 },
      },
    },
  },
});
