// Runs the test suites, and closes with one line that counts: "N passed, N failed".
//   node tools/test.mjs           all of them, with the coverage gates
//   node tools/test.mjs --fast    those that need no registry and no builder: unit, replay, workflows
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const COVERAGE = join(ROOT, 'coverage');
const FAST = ['unit', 'replay', 'workflows'];
/** What these test runs in their own process. Of what a child or Temporal's sandbox runs, V8 counts nothing. */
const COVERED = ['unit'];
/** They wait for programs and timers: all beside each other. */
const OTHERS = ['workflows', 'replay', 'integration', 'security', 'e2e'];

const runs = process.argv.includes('--fast')
  ? [run('fast', FAST, [])]
  : [run('covered', COVERED, ['--coverage']), run('others', OTHERS, [])];
const sum = (count) => runs.reduce((total, each) => total + each[count], 0);
if (runs.some(({ status, failed }) => status !== 0 && failed === 0))
  console.log('Every test passed, but the run failed: see above (coverage gates, errors)');
const skipped = sum('skipped') === 0 ? '' : `, ${sum('skipped')} skipped`;
console.log(`${sum('passed')} passed, ${sum('failed')} failed${skipped}`);
process.exit(runs.every(({ status }) => status === 0) ? 0 : 1);

function run(name, projects, more) {
  const results = join(COVERAGE, `results-${name}.json`);
  rmSync(results, { force: true });
  mkdirSync(COVERAGE, { recursive: true });
  const vitest = join(ROOT, 'node_modules', 'vitest', 'vitest.mjs');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${results}`];
  const selected = projects.map((project) => `--project=${project}`);
  const { status } = spawnSync(process.execPath, [vitest, 'run', ...selected, ...reporters, ...more], {
    cwd: ROOT,
    stdio: 'inherit',
    env: { ...process.env, ...(name === 'fast' && { TEST_FAST: '1' }) },
  });
  const { numPassedTests, numFailedTests, numPendingTests, testResults } = JSON.parse(readFileSync(results, 'utf8'));
  // A file that does not even load holds no failed test; it counts as one.
  const unloaded = testResults.filter((file) => file.status === 'failed' && file.assertionResults.length === 0).length;
  return { status, passed: numPassedTests, failed: numFailedTests + unloaded, skipped: numPendingTests };
}
