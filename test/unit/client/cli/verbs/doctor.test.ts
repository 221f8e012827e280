import { describe, expect, it } from 'vitest';
import type { RegistryTraits } from '../../../../../adapters/registry/traits.js';
import { type DoctorChecks, diagnose, renderDiagnosis } from '../../../../../client/cli/verbs/doctor.js';
import { HoubaError } from '../../../../../domain/errors.js';
import { NO_PALETTE } from '../../../../../domain/report/palette.js';

const main = {
  name: 'main',
  host: 'r.example',
  namespace: null,
  tlsVerify: true,
  deletionMode: null,
  sourceOnly: false,
};

function checks(more: Partial<DoctorChecks> = {}): DoctorChecks {
  return {
    programs: new Map([
      ['regctl', { version: '0.11.7', floor: '0.11.5', versionArgs: ['version'], purpose: 'copies images' }],
      ['cosign', { version: '3.1.3', floor: '3.0.5', versionArgs: ['version'], purpose: 'signs' }],
    ]),
    required: new Set(['regctl']),
    pathOf: (name) => `/tools/${name}`,
    versionOf: async (_, program) => program.version,
    folders: { HOUBA_HOME: async () => '/var/houba, 900 MiB free' },
    temporal: async () => 'embedded, up at 127.0.0.1:7233',
    buildkit: async () => 'unix:///run/buildkit/buildkitd.sock',
    buildkitNamed: true,
    signing: async () => 'off; evidence is not signed',
    roster: [main],
    ping: async () => {},
    traits: async () => null,
    ...more,
  };
}

async function renderOf(more: Partial<DoctorChecks>): Promise<string> {
  return renderDiagnosis(await diagnose(checks(more)), NO_PALETTE);
}

describe('a healthy house', () => {
  it('of a registry that is only a source asks whether it answers, and no more', async () => {
    const traits = () => Promise.reject(new Error('nothing is tried there'));
    expect(await renderOf({ roster: [{ ...main, sourceOnly: true }], traits })).toContain('r.example, only a source');
  });

  it('is ok, and shows path, version and floor of each program', async () => {
    const diagnosis = await diagnose(checks());
    expect(diagnosis).toMatchObject({
      schema_version: 1,
      ok: true,
      programs: [
        { name: 'regctl', status: 'ok', path: '/tools/regctl', version: '0.11.7', floor: '0.11.5', required: true },
        { name: 'cosign', status: 'ok', required: false },
      ],
      folders: [{ name: 'HOUBA_HOME', status: 'ok', detail: '/var/houba, 900 MiB free' }],
      temporal: { status: 'ok' },
      buildkit: { status: 'ok', detail: 'unix:///run/buildkit/buildkitd.sock' },
      signing: { status: 'ok', detail: 'off; evidence is not signed' },
      registries: [{ name: 'main', status: 'ok', detail: 'r.example', fix: null }],
    });
    const text = renderDiagnosis(diagnosis, NO_PALETTE);
    expect(text).toContain('0.11.7 (at least 0.11.5)  /tools/regctl');
    expect(text).not.toContain('→');
  });

  it('is not asked for a daemon that nobody could ask', async () => {
    expect(await diagnose(checks({ buildkit: null }))).toMatchObject({
      ok: true,
      buildkit: { status: 'ok', detail: 'not asked, for want of buildctl' },
    });
  });

  it('may lack what it does not need, and may have an empty roster', async () => {
    const lacking = { pathOf: (name: string) => (name === 'cosign' ? null : `/tools/${name}`), roster: [] };
    expect((await diagnose(checks(lacking))).ok).toBe(true);
    expect(await renderOf(lacking)).toMatch(
      /- cosign\s+not installed, and not needed unless a policy has verifyUpstream \(signs\)/,
    );
    expect(await renderOf(lacking)).toContain('set HOUBA_REGISTRIES');
  });
});

describe('whatever is wrong has a fix', () => {
  it.each([
    ['a missing program', { pathOf: () => null }, 'make setup builds 0.11.7'],
    ['a program below its floor', { versionOf: async () => '0.11.4' }, 'remove /tools/regctl'],
    ['a program that says no version', { versionOf: async () => null }, 'remove /tools/regctl'],
    ['a program that does not run', { versionOf: () => Promise.reject(new Error('exec format error')) }, 'remove'],
    [
      'a full disk',
      { folders: { HOUBA_HOME: () => Promise.reject(new HoubaError('MachineFailed', 'full', { hint: 'free some' })) } },
      'free some',
    ],
    [
      'a folder for which there is no hint',
      { folders: { HOUBA_WORK_DIR: () => Promise.reject(new Error('EBADF')) } },
      'set HOUBA_WORK_DIR to another folder',
    ],
    ['Temporal', { temporal: () => Promise.reject(new Error('refused')) }, 'check TEMPORAL_ADDRESS'],
    [
      'a registry with a hint of its own',
      { ping: () => Promise.reject(new HoubaError('Unauthorized', 'no', { hint: 'log in first' })) },
      'log in first',
    ],
    [
      'a BuildKit daemon that the settings name',
      { buildkit: () => Promise.reject(new Error('refused')) },
      'start the daemon that BUILDKIT_HOST names',
    ],
    [
      'a signing key',
      { signing: () => Promise.reject(new Error('decryption failed')) },
      'check HOUBA_ATTEST_KEY_REF, and COSIGN_PASSWORD',
    ],
    ['a registry', { ping: () => Promise.reject(new Error('refused')) }, 'check main in HOUBA_REGISTRIES'],
  ] satisfies [string, Partial<DoctorChecks>, string][])('%s', async (_, more, fix) => {
    expect((await diagnose(checks(more))).ok).toBe(false);
    expect(await renderOf(more)).toContain(`→ ${fix}`);
  });

  it('and a broken program that is not needed is only a warning', async () => {
    const diagnosis = await diagnose(checks({ versionOf: async () => '0.0.1', required: new Set() }));
    expect(diagnosis.ok).toBe(true);
    expect(diagnosis.programs.map((program) => program.status)).toEqual(['warning', 'warning']);
  });

  it('and a daemon that no setting names is only a warning, for it may be that nothing is ever rebuilt', async () => {
    const refused = { buildkit: () => Promise.reject(new Error('refused')), buildkitNamed: false };
    const diagnosis = await diagnose(checks(refused));
    expect(diagnosis).toMatchObject({ ok: true, buildkit: { status: 'warning', detail: 'refused' } });
    expect(await renderOf(refused)).toContain('→ for policies with a transform: start buildkitd');
  });

  it.each([
    ['it deletes nothing', { deletion: 'refused' }, '→ turn deletion on'],
    ['it accepts deletions that it does not do', { deletion: 'untrue' }, '→ ask its operator'],
    ['it lets these credentials delete nothing', { deletion: 'denied' }, '→ give the credentials the right'],
    ['it has no referrers API: evidence is listed by tags', { referrers: 'tag' }, null],
    ['it shows the image itself under the tag of its evidence', { referrers: 'tag', showsSubject: true }, null],
    ['it deletes what was written', { deletion: 'works' }, null],
  ] satisfies [string, Partial<RegistryTraits>, string | null][])('a registry: %s', async (says, traits, fix) => {
    const of: RegistryTraits = { deletion: 'likely', referrers: 'api', showsSubject: false, ...traits };
    const text = await renderOf({ traits: async () => of });
    expect(text).toContain(`${fix === null ? '✓' : '!'} ${'main'.padEnd(21)} r.example; ${says}`);
    expect(text.includes('→')).toBe(fix !== null);
    expect(text).toContain(fix ?? '');
    expect((await diagnose(checks({ traits: async () => of }))).ok).toBe(true);
  });

  it('and what a registry says cannot move the cursor', async () => {
    const text = await renderOf({ ping: () => Promise.reject(new Error('\u001b[2Jgone')) });
    expect(text).toContain('\\x1b[2Jgone');
  });
});
