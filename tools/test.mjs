// Runs the whole test suite with its coverage gates and closes with one line that counts: "N passed, N failed".
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const RESULTS = join(ROOT, 'coverage', 'results.json');

rmSync(RESULTS, { force: true });
mkdirSync(dirname(RESULTS), { recursive: true });
const { status } = spawnSync(
  process.execPath,
  [
    join(ROOT, 'node_modules', 'vitest', 'vitest.mjs'),
    'run',
    '--coverage',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${RESULTS}`,
    ...process.argv.slice(2),
  ],
  { cwd: ROOT, stdio: 'inherit' },
);
const { numPassedTests, numFailedTests, testResults } = JSON.parse(readFileSync(RESULTS, 'utf8'));
// A file that does not even load holds no failed test; it counts as one.
const unloaded = testResults.filter((file) => file.status === 'failed' && file.assertionResults.length === 0).length;
const failed = numFailedTests + unloaded;
if (status !== 0 && failed === 0)
  console.log('Every test passed, but the run failed: see above (coverage gates, errors)');
console.log(`${numPassedTests} passed, ${failed} failed`);
process.exit(status ?? 1);
