// Compiles to dist/ and bundles the workflows ahead of time. Does nothing when no source has changed.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const DIST = join(ROOT, 'dist');
const STAMP = join(DIST, '.stamp');
const SOURCES = ['activities', 'adapters', 'client', 'config', 'domain', 'worker', 'workflows'];
const SETTINGS = ['package-lock.json', 'package.json', 'tsconfig.build.json', 'tsconfig.json', 'tools/build.mjs'];

const stamp = fingerprint();
if (!existsSync(STAMP) || readFileSync(STAMP, 'utf8') !== stamp) await build();

/** Builds beside dist/ and swaps at the end, so that a running worker or a failed build never sees half of one. */
async function build() {
  const next = join(ROOT, 'dist.new');
  rmSync(next, { recursive: true, force: true });
  const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
  try {
    execFileSync(process.execPath, [tsc, '-p', 'tsconfig.build.json', '--outDir', next], {
      cwd: ROOT,
      stdio: 'inherit',
    });
  } catch {
    rmSync(next, { recursive: true, force: true });
    process.exit(1);
  }
  const { bundleWorkflowCode, DefaultLogger } = await import('@temporalio/worker');
  const { code } = await bundleWorkflowCode({
    workflowsPath: join(next, 'workflows', 'index.js'),
    logger: new DefaultLogger('WARN'),
  });
  writeFileSync(join(next, 'workflow-bundle.js'), code);
  writeFileSync(join(next, '.stamp'), stamp);
  const old = join(ROOT, 'dist.old');
  rmSync(old, { recursive: true, force: true });
  if (existsSync(DIST)) renameSync(DIST, old);
  renameSync(next, DIST);
  rmSync(old, { recursive: true, force: true });
}

/** One hash over the path, size and time of every file that goes into a build. */
function fingerprint() {
  const hash = createHash('sha256');
  const files = SOURCES.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true }).map((path) => join(folder, path)),
  );
  for (const path of [...SETTINGS, ...files].sort()) {
    const { size, mtimeMs } = statSync(join(ROOT, path));
    hash.update(`${path} ${size} ${mtimeMs}\n`);
  }
  return hash.digest('hex');
}
