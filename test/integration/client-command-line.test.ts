import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { runCommandLine } from '../../client/cli/program.js';
import { joinOrStart, runningStack, type Stack } from '../../client/stack/embedded.js';
import { isAlive } from '../../client/stack/processes.js';
import { stackFiles } from '../../client/stack/stack-files.js';
import { loadSettings } from '../../config/settings.js';
import type { RunReport } from '../../domain/report/run/run-report.js';
import { type RunningRegistry, startOlareg } from '../support/registries.js';
import { policyText, processesOf } from '../support/stack.js';
import { image, push } from '../support/upstream-images.js';

// The command line in this process, on an embedded stack of its own: the same code as bin/houba, where it can be measured.
let folder: string;
let home: string;
let policies: string;
let upstream: RunningRegistry;
let registry: RunningRegistry;
const written = { stdout: '', stderr: '' };

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'houba-cli-'));
  home = join(folder, 'home');
  policies = join(folder, 'policies');
  mkdirSync(policies);
  upstream = await startOlareg({ inMemory: true });
  registry = await startOlareg({ inMemory: true });
  await push(upstream.host, 'library/box', ['1.0.0'], image('box 1.0.0'));
  await push(upstream.host, 'library/box', ['1.1.0'], image('box 1.1.0'));
  const policy = policyText({
    name: 'box',
    from: `${upstream.host}/library/box`,
    import: { tags: { aliases: ['{major}'] } },
    to: ['main:demo/box'],
  });
  writeFileSync(join(policies, 'box.yaml'), policy);
  vi.stubEnv('HOUBA_HOME', home);
  vi.stubEnv('HOUBA_WORK_DIR', join(folder, 'work'));
  vi.stubEnv('HOUBA_REGISTRIES', registries());
  vi.stubEnv('TEMPORAL_ADDRESS', undefined);
});

afterAll(async () => {
  vi.unstubAllEnvs();
  await registry?.stop();
  await upstream?.stop();
  rmSync(folder, { recursive: true, force: true });
});

afterEach(() => {
  vi.restoreAllMocks();
  process.exitCode = undefined;
});

function registries(): string {
  return JSON.stringify({
    up: { host: upstream.host, tls_verify: false },
    main: { host: registry.host, tls_verify: false },
  });
}

async function houba(...words: string[]): Promise<number> {
  for (const name of ['stdout', 'stderr'] as const) {
    written[name] = '';
    vi.spyOn(process[name], 'write').mockImplementation(((text: string, done?: () => void) => {
      written[name] += text;
      done?.();
      return true;
    }) as typeof process.stdout.write);
  }
  try {
    return await runCommandLine(words);
  } finally {
    vi.restoreAllMocks();
  }
}

describe('with no stack up', () => {
  it('a plan starts one for itself, writes nothing, exits with 10 and leaves no process', async () => {
    expect(await houba('plan', policies, '--detailed-exitcode', '--verbose')).toBe(10);
    expect(written.stdout).toMatch(/^✓ box imported=2 /);
    expect(written.stdout).toMatch(/^ {4}imported 1\.1\.0 sha256:[0-9a-f]{64} \(planned\)$/m);
    expect(written.stdout).toMatch(/^reconcile \[dry-run\] status=ok imported=2 /m);
    expect(written.stderr).toContain('starting an embedded Temporal');
    expect(written.stderr).toMatch(
      /^started plan-fleet-\S+ {2}http:\/\/127\.0\.0\.1:\d+\/namespaces\/default\/workflows\//m,
    );
    expect(runningStack(home)).toBeNull();
    expect(processesOf(stackFiles(home).database)).toEqual([]);
  });

  it('--detach is refused, for nobody would be left to do the work', async () => {
    expect(await houba('reconcile', policies, '--detach')).toBe(3);
    expect(written.stderr).toMatch(/hint: start one with `houba up`/);
    expect(runningStack(home)).toBeNull();
  });

  it('status says so, with 69', async () => {
    expect(await houba('status')).toBe(69);
    expect(written.stderr).toContain('houba up');
  });

  it('a port that is in use is an error that names the option to move it', async () => {
    const port = registry.host.split(':')[1] ?? '';
    expect(await houba('up', '--foreground', '--temporal-port', port)).toBe(3);
    expect(written.stderr).toContain('--temporal-port');
  });
});

describe('with a stack up', () => {
  let stack: Stack;
  beforeAll(async () => {
    const { settings } = loadSettings({ ...process.env });
    stack = await joinOrStart({ settings, note: () => {}, journal: 'file' });
  });
  afterAll(async () => {
    await stack.leave();
    expect(readdirSync(home)).not.toContain('stack.json');
    expect(processesOf(stackFiles(home).database)).toEqual([]);
  });

  it('reconcile joins it and prints a report; a second one finds nothing to do', async () => {
    expect(await houba('reconcile', policies, '--report-json', '-j', '2')).toBe(0);
    const report = JSON.parse(written.stdout) as RunReport;
    expect(report).toMatchObject({ mode: 'apply', status: 'ok', totals: { imported: 2, aliased: 1, failed: 0 } });
    expect(written.stderr).not.toContain('starting an embedded');

    expect(await houba('reconcile', policies)).toBe(0);
    expect(written.stdout).toMatch(/imported=0 .* aliased=0 skipped=2 /);
    expect(await houba('plan', policies, '--detailed-exitcode')).toBe(0);
  });

  it('status knows a gc as well: it lists it, has its report, and says why one failed', async () => {
    const run = () => /started (\S+)/.exec(written.stderr)?.[1] ?? '';
    expect(await houba('gc')).toBe(0);
    const gc = run();
    expect(await houba('status', gc)).toBe(0);
    expect(written.stdout).toMatch(/completed[\s\S]*gc \[dry-run\] repositories=/);
    expect(await houba('status', gc, '--output', 'json')).toBe(0);
    expect(JSON.parse(written.stdout)).toMatchObject({ report: { mode: 'dry-run', counts: { failed: 0 } } });

    expect(await houba('gc', '--registry', 'nowhere')).toBe(3);
    const failed = run();
    expect(await houba('status', failed)).toBe(0);
    expect(written.stdout).toMatch(/failed[\s\S]*ConfigInvalid: registry "nowhere" is not in the roster/);
    expect(await houba('status')).toBe(0);
    expect(written.stdout).toContain(gc);
    expect(written.stdout).toContain(failed);
  });

  it('status has the report of an audit, which covers what reconcile has placed', async () => {
    expect(await houba('audit', '--registry', 'main', '--sbom')).toBe(0);
    expect(await houba('status', 'audit')).toBe(0);
    expect(written.stdout).toMatch(/completed[\s\S]*audit scanned=[1-9]\d* covered=[1-9]\d* uncovered=\d+ with_sbom=/);
    expect(await houba('status')).toBe(0);
    expect(written.stdout).toMatch(/completed .*\baudit\b|\baudit\b.*completed/);
  });

  it.each(['box', 'registry.example/box:1.0'])('gc takes no --repository %s', async (name) => {
    expect(await houba('gc', '--repository', name)).toBe(3);
    expect(written.stderr).toContain('a repository with its host, as in registry.example/team/app');
  });

  it('reconcile --detach prints the run, which status follows to its report', async () => {
    expect(await houba('reconcile', policies, '--detach', '--output', 'json')).toBe(0);
    const { workflow_id: run } = JSON.parse(written.stdout) as { workflow_id: string };
    await vi.waitFor(
      async () => {
        expect(await houba('status', run, '--output', 'json')).toBe(0);
        expect(JSON.parse(written.stdout)).toMatchObject({ workflow_id: run, status: 'completed' });
      },
      { timeout: 30_000, interval: 100 },
    );
    expect(JSON.parse(written.stdout)).toMatchObject({ schema_version: 1, report: { status: 'ok' }, progress: null });
    expect(await houba('status', run)).toBe(0);
    expect(written.stdout).toMatch(/completed[\s\S]*reconcile \[apply\] status=ok/);
    expect(written.stderr).toContain('/workflows/');
    expect(await houba('status')).toBe(0);
    expect(written.stdout).toContain(run);
    expect(await houba('status', '--output', 'json')).toBe(0);
    expect(JSON.parse(written.stdout).runs.length).toBeGreaterThan(2);
  });

  it('a policy that fails gives its exit code', async () => {
    const bad = join(folder, 'bad.yaml');
    writeFileSync(bad, policyText({ name: 'bad', from: `${upstream.host}/library/none`, to: ['main:demo/none'] }));
    expect(await houba('reconcile', bad)).toBe(1);
    expect(written.stdout).toMatch(/^✗ bad FAILED \w+: .*library\/none/m);
  });

  it('a destination that the roster does not know is a configuration error of the run', async () => {
    const bad = join(folder, 'unknown.yaml');
    writeFileSync(bad, policyText({ name: 'lost', from: `${upstream.host}/library/box`, to: ['nowhere:demo/box'] }));
    expect(await houba('reconcile', bad)).toBe(3);
    expect(written.stderr).toContain('nowhere');
  });

  it('a command with other settings exits with 3 and names them', async () => {
    vi.stubEnv('HOUBA_LABEL_PREFIX', 'com.example');
    try {
      expect(await houba('reconcile', policies)).toBe(3);
    } finally {
      vi.stubEnv('HOUBA_LABEL_PREFIX', undefined);
    }
    expect(written.stderr).toMatch(/HOUBA_LABEL_PREFIX is io\.houba there and com\.example here/);
  });

  it('policy test asks the source for its tags', async () => {
    expect(await houba('policy', 'test', join(policies, 'box.yaml'), '--output', 'json')).toBe(0);
    expect(JSON.parse(written.stdout).imports[0].selected).toEqual(['1.0.0', '1.1.0']);
  });

  it('down leaves the stack of a command alone', async () => {
    expect(await houba('down')).toBe(0);
    expect(written.stderr).toContain('belongs to a running command');
    const record = runningStack(home);
    expect(record !== null && isAlive(record.server.pid, record.server.identity)).toBe(true);
  });

  it('cancel of a run that ended long ago says that it has', async () => {
    expect(await houba('cancel', 'reconcile-fleet-never')).toBe(2);
    expect(written.stderr).toContain('is not known');
  });
});

describe('what needs nothing', () => {
  it('down with nothing up says so', async () => {
    expect(await houba('down')).toBe(0);
    expect(written.stderr).toContain('nothing is up');
  });

  it('version and schema print themselves', async () => {
    expect(await houba('version')).toBe(0);
    expect(written.stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect(await houba('version', '--output', 'json')).toBe(0);
    expect(JSON.parse(written.stdout)).toMatchObject({ schema_version: 1, version: expect.any(String) });
    expect(await houba('schema', 'run-report')).toBe(0);
    expect(JSON.parse(written.stdout)).toMatchObject({ title: 'houba run report' });
  });

  it('a worker without a Temporal to serve, and an up beside one, are configuration errors', async () => {
    expect(await houba('worker')).toBe(3);
    vi.stubEnv('TEMPORAL_ADDRESS', '127.0.0.1:1');
    try {
      expect(await houba('up')).toBe(3);
      expect(await houba('reconcile', policies)).toBe(69);
    } finally {
      vi.stubEnv('TEMPORAL_ADDRESS', undefined);
    }
  });

  it('completion knows the verbs and their options', async () => {
    const told = vi.spyOn(console, 'log').mockImplementation(() => {});
    expect(await runCommandLine(['complete', '--', 'reconcile', '--sh'])).toBe(0);
    expect(told.mock.calls.join('\n')).toContain('--shard-count');
  });
});
