// Compiles to dist/ and bundles the workflows ahead of time. Does nothing when no source has changed.
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
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
  writeFileSync(join(next, 'workflow-bundle.js'), withoutSources(code));
  await bundlePrograms(next);
  await bundlePage(next);
  writeFileSync(join(next, '.stamp'), stamp);
  const old = join(ROOT, `dist.${process.pid}.old`);
  rmSync(old, { recursive: true, force: true });
  if (existsSync(DIST)) renameSync(DIST, old);
  renameSync(next, DIST);
  rmSync(old, { recursive: true, force: true });
}

/** Leaves the sources out of a bundle's source map: a worker reads the map at each start, for the places in traces. */
function withoutSources(code) {
  const [bundled, base64] = code.split(/^\/\/# sourceMappingURL=data:application\/json;charset=utf-8;base64,/m);
  const { sourcesContent, ...map } = JSON.parse(Buffer.from(base64, 'base64').toString('utf8'));
  const smaller = Buffer.from(JSON.stringify(map)).toString('base64');
  return `${bundled}//# sourceMappingURL=data:application/json;charset=utf-8;base64,${smaller}`;
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
 * run's time. The SDK starts a thread from a file beside its own, which becomes a file beside the chunks.
 */
async function bundlePrograms(dist) {
  const esbuild = await import('esbuild');
  const require = createRequire(import.meta.url);
  const sdk = dirname(require.resolve('@temporalio/worker'));
  const outdir = join(dist, 'fast');
  // What CommonJS packages expect to find around them.
  const banner = [
    "import{createRequire as $require}from'node:module'",
    'const require=$require(import.meta.url)',
    'const __filename=import.meta.filename',
    'const __dirname=import.meta.dirname',
  ];
  await esbuild.build({
    entryPoints: [
      join(dist, 'client', 'cli', 'main.js'),
      join(dist, 'client', 'cli', 'program.js'), // for tests, which run many commands in one process
      join(sdk, 'workflow', 'workflow-worker-thread.js'),
    ],
    entryNames: '[name]',
    outdir,
    external: ['@temporalio/core-bridge'],
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: TARGET,
    plugins: [withoutBundler(join(sdk, 'workflow', 'bundler.js'))],
    banner: { js: `${banner.join(';')};` },
    logLevel: 'warning',
  });
  // The SDK's reader of source maps looks for it beside itself.
  copyFileSync(require.resolve('source-map/lib/mappings.wasm', { paths: [sdk] }), join(outdir, 'mappings.wasm'));
}

/** Script and style sheet of the report page, which goes into browsers of the last few years. */
async function bundlePage(dist) {
  const esbuild = await import('esbuild');
  await esbuild.build({
    entryPoints: [join(ROOT, 'client', 'page', 'page.ts'), join(ROOT, 'client', 'page', 'page.css')],
    outdir: join(dist, 'page'),
    bundle: true,
    minify: true,
    format: 'iife',
    charset: 'utf8',
    target: ['es2022', 'chrome111', 'firefox113', 'safari16.4'],
    logLevel: 'warning',
  });
}

/** Leaves the SDK's bundler of workflows out, with the compilers it needs: the bundle is made here. */
function withoutBundler(path) {
  return {
    name: 'without-bundler',
    setup({ onLoad }) {
      onLoad({ filter: /bundler\.js$/ }, (file) =>
        file.path === path ? { contents: 'exports.defaultWorkflowInterceptorModules = []' } : undefined,
      );
    },
  };
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
