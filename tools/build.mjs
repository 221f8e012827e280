// Compiles to dist/ and bundles the workflows ahead of time. Does nothing when no source has changed.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const DIST = join(ROOT, 'dist');
const STAMP = join(DIST, '.stamp');
const SOURCES = ['activities', 'adapters', 'client', 'config', 'domain', 'worker', 'workflows'];
const SETTINGS = ['package-lock.json', 'package.json', 'tsconfig.json', 'tools/build.mjs'];
/** The oldest Node.js that houba runs on. */
const TARGET = 'node20.19';

const stamp = fingerprint();
if (!existsSync(STAMP) || readFileSync(STAMP, 'utf8') !== stamp) await build();

/** Builds beside dist/ and swaps at the end, so that a running worker or a failed build never sees half of one. */
async function build() {
  const next = join(ROOT, `dist.${process.pid}.new`);
  rmSync(next, { recursive: true, force: true });
  try {
    await compile(next);
  } catch {
    // esbuild has said why.
    rmSync(next, { recursive: true, force: true });
    process.exit(1);
  }
  const { bundleWorkflowCode, DefaultLogger } = await import('@temporalio/worker');
  const { code } = await bundleWorkflowCode({
    workflowsPath: join(next, 'workflows', 'index.js'),
    logger: new DefaultLogger('WARN'),
  });
  writeFileSync(join(next, 'workflow-bundle.js'), code);
  await bundlePrograms(next);
  writeFileSync(join(next, '.stamp'), stamp);
  const old = join(ROOT, `dist.${process.pid}.old`);
  rmSync(old, { recursive: true, force: true });
  if (existsSync(DIST)) renameSync(DIST, old);
  renameSync(next, DIST);
  rmSync(old, { recursive: true, force: true });
}

/** Makes JavaScript of each module. `make check` checks the types, which takes longer than all of this. */
async function compile(dist) {
  const esbuild = await import('esbuild');
  await esbuild.build({
    entryPoints: SOURCES.map((folder) => `${folder}/**/*.ts`),
    absWorkingDir: ROOT,
    outbase: ROOT,
    outdir: dist,
    format: 'esm',
    platform: 'node',
    target: TARGET,
    sourcemap: true,
    logLevel: 'warning',
  });
}

/**
 * The command line and the worker in few files, dist/fast/: loading their modules one by one took a quarter of a short
 * run's time. The worker is bundled apart and without Temporal's packages, for the SDK finds its own files by their
 * places. One class crosses from bundle to bundle, HoubaError: it stays outside, so that `instanceof` holds.
 */
async function bundlePrograms(dist) {
  const errors = join(dist, 'domain', 'errors.js');
  const workers = readdirSync(join(dist, 'worker'))
    .filter((name) => name.endsWith('.js'))
    .map((name) => join(dist, 'worker', name));
  const beside = workers.map((path) => [path, `./worker/${basename(path)}`]);
  await bundle({
    entryPoints: [join(dist, 'client', 'cli', 'main.js')],
    outdir: join(dist, 'fast'),
    external: ['@temporalio/worker', '@temporalio/core-bridge'],
    outside: new Map([[errors, '../domain/errors.js'], ...beside]),
  });
  await bundle({
    entryPoints: workers,
    outdir: join(dist, 'fast', 'worker'),
    external: ['@temporalio/*'],
    outside: new Map([[errors, '../../domain/errors.js']]),
  });
}

/** @param outside files of dist/ that are not bundled, and how the bundle imports them */
async function bundle({ outside, ...options }) {
  const esbuild = await import('esbuild');
  const keepOutside = {
    name: 'keep-outside',
    setup({ onResolve }) {
      onResolve({ filter: /^\.\.?\// }, ({ path, resolveDir }) => {
        const place = outside.get(resolve(resolveDir, path));
        if (place !== undefined) return { path: place, external: true };
      });
    },
  };
  // What CommonJS packages expect to find around them.
  const banner = [
    "import{createRequire as $require}from'node:module'",
    'const require=$require(import.meta.url)',
    'const __filename=import.meta.filename',
    'const __dirname=import.meta.dirname',
  ];
  await esbuild.build({
    ...options,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: TARGET,
    plugins: [keepOutside],
    banner: { js: `${banner.join(';')};` },
    logLevel: 'warning',
  });
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
