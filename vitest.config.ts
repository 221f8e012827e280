import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const minute = 60_000;
const CORES = availableParallelism();
/** Tests with servers wait much of their time, for timers and for programs: more run side by side than there are cores. */
const BESIDE = CORES * 2;

/** Starts of paths. They wait most of the time, or do the most: begun late, each would be the last to end, alone. */
const LONGEST = [
  'e2e/gc',
  'e2e/removal-killed',
  'workflows/redis-history',
  'e2e/rebuild',
  'e2e/purge',
  'security/rebuild-secrets',
  'integration/sign',
  'integration/schedules',
];

/** Suites that run houba as a user has it. */
const WITH_HOUBA = ['e2e', 'security'];

/** Begins with the longest files; the others in Vitest's own order. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isLong = ({ moduleId }: TestSpecification) => LONGEST.some((name) => moduleId.includes(`test/${name}`));
    const sorted = await super.sort(files);
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}

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
      // Tests change nothing that outlives a file, so that a worker loads the modules once; but one replaces a module.
      isolate: name === 'integration',
      globalSetup: [
        ...(name === 'unit' ? [] : ['test/support/global-setup.ts']),
        ...(WITH_HOUBA.includes(name) ? ['test/support/instant-syft.ts'] : []),
      ],
    },
  };
}

export default defineConfig({
  test: {
    // The native module of the Temporal SDK does not bear worker threads.
    pool: 'forks',
    sequence: { sequencer: LongestFirst },
    projects: [
      suite(0, 'unit', 20_000, CORES),
      suite(1, 'workflows', 10 * minute, BESIDE),
      suite(1, 'replay', 10 * minute, BESIDE),
      suite(1, 'integration', 3 * minute, BESIDE),
      suite(1, 'security', 10 * minute, BESIDE),
      suite(1, 'e2e', 10 * minute, BESIDE),
    ],
    coverage: {
      provider: 'v8',
      // Workflows run inside Temporal's sandbox, from a bundle: V8 counts nothing there. Their suites stand for them.
      include: ['activities/**', 'adapters/**', 'client/**', 'config/**', 'domain/**', 'worker/**'],
      // Runs in a browser, which a test of it opens.
      exclude: ['client/page/**'],
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
