import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

const minute = 60_000;
const CORES = availableParallelism();
/** Tests with servers wait much of their time, for timers and for programs: more run side by side than there are cores. */
const BESIDE = CORES * 2;

/** Suites of one order run side by side; the orders come one after the other. */
function suite(order: number, name: string, timeout: number, maxWorkers: number) {
  return {
    extends: true as const,
    test: {
      name,
      include: [`test/${name}/**/*.test.ts`],
      testTimeout: timeout,
      hookTimeout: timeout,
      maxWorkers,
      sequence: { groupOrder: order },
      // Unit tests change nothing that outlives a file, so that a worker loads the modules once.
      ...(name === 'unit' && { isolate: false }),
      ...(name !== 'unit' && { globalSetup: 'test/support/global-setup.ts' }),
    },
  };
}

export default defineConfig({
  test: {
    // The native module of the Temporal SDK does not bear worker threads.
    pool: 'forks',
    projects: [
      suite(0, 'unit', 20_000, CORES),
      suite(1, 'workflows', 5 * minute, BESIDE),
      suite(1, 'replay', 5 * minute, BESIDE),
      suite(1, 'integration', 3 * minute, BESIDE),
      suite(1, 'security', 10 * minute, BESIDE),
      suite(1, 'e2e', 10 * minute, BESIDE),
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
