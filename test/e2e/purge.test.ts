import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MARK_ARTIFACT_TYPE } from '../../domain/lifecycle/mark.js';
import type { PurgeOutcome, PurgeReport } from '../../domain/report/purge-report.js';
import { createPlayingOracle, type PlayingOracle, SEEN, UNSEEN } from '../support/playing-oracle.js';
import { type RunningRegistry, startDistribution, startOlareg } from '../support/registries.js';
import {
  createHoubaWithInstantSyft,
  type Houba,
  type PolicyOptions,
  type RegctlReader,
  regctlReader,
  until,
} from '../support/stack.js';
import { orphansOf, readDistributionStore, readOlaregStore } from '../support/storage.js';
import { alike, push } from '../support/upstream-images.js';

const WINDOW_MS = 4_000;

const KINDS = [
  ['olareg', startOlareg, readOlaregStore],
  ['distribution, which has no referrers API', startDistribution, readDistributionStore],
] as const;

describe.each(KINDS)('on %s', (_, startRegistry, readStore) => {
  /** What does not depend on the kind of registry is shown with one of them. */
  const once = startRegistry === startOlareg;
  let upstream: RunningRegistry;
  let registry: RunningRegistry;
  let houba: Houba;
  let oracle: PlayingOracle;
  let regctl: RegctlReader;

  beforeAll(async () => {
    upstream = await startOlareg({ inMemory: true });
    registry = await startRegistry();
    houba = await createHoubaWithInstantSyft(
      { main: { host: registry.host, tls_verify: false }, up: { host: upstream.host, tls_verify: false } },
      {
        HOUBA_PURGE_MIN_IDLE: '4s',
        HOUBA_USAGE_ORACLE_TIMEOUT: '2',
        HOUBA_MAX_DELETION_SHARE: '1',
        USAGE_ORACLE_TOKEN: 'oracle-secret',
        COSIGN_PASSWORD: 'not for the oracle',
      },
    );
    oracle = createPlayingOracle(houba.folder);
    houba.env.HOUBA_USAGE_ORACLE_CMD = oracle.command;
    regctl = regctlReader(houba.folder, [registry.host, upstream.host]);
    await houba.up();
  });
  afterAll(async () => {
    await houba?.dispose();
    await registry?.stop();
    await upstream?.stop();
  });

  function policy(name: string, names: readonly string[], more: Partial<PolicyOptions> = {}): string {
    const tags = { names, includeRegex: '^never$' };
    return houba.policies({
      ...{ name, from: `${upstream.host}/${name}`, to: [`main:demo/${name}`] },
      ...more,
      import: { tags, ...more.import },
    });
  }

  const placed = (name: string) => `${registry.host}/demo/${name}`;

  /** Two tags placed; then the policy wants the first alone, and the second bears a mark. @returns when it was made */
  async function marked(name: string, more: Partial<PolicyOptions> = {}): Promise<number> {
    for (const tag of ['keep', 'drop']) await push(upstream.host, name, [tag], alike(`${name} ${tag}`));
    expect((await houba.reconcile(policy(name, ['keep', 'drop'], more))).report.totals).toMatchObject({ imported: 2 });
    const { report } = await houba.reconcile(policy(name, ['keep'], more));
    expect(report.totals).toMatchObject({ marked: 1, deleted: 0, failed: 0 });
    return Date.now();
  }

  interface Purged {
    readonly code: number | null;
    readonly report: PurgeReport;
    readonly of: (name: string, tag?: string) => PurgeOutcome | undefined;
  }

  async function purge(...args: readonly string[]): Promise<Purged> {
    const { code, stdout, stderr } = await houba.run('purge', '--output', 'json', ...args);
    let report: PurgeReport;
    try {
      report = JSON.parse(stdout) as PurgeReport;
    } catch {
      throw new Error(`no report (exit ${code}): ${stderr.slice(-3000)}`);
    }
    const of = (name: string, tag = 'drop') =>
      report.outcomes.find(({ image_ref }) => image_ref === `${placed(name)}:${tag}`);
    return { code, report, of };
  }

  /** Tags as they are listed, but for those that only hold evidence. */
  const tagsOf = async (name: string) => (await regctl.tags(placed(name))).filter((tag) => !tag.startsWith('sha256-'));

  const isThere = async (name: string, tag = 'drop') => (await tagsOf(name)).includes(tag);

  function askedAbout(name: string, tag = 'drop'): number[] {
    const ref = `${placed(name)}:${tag}`;
    return oracle
      .questions()
      .filter(({ image_ref }) => image_ref === ref)
      .map(({ at }) => at);
  }

  function due(since: number): Promise<void> {
    return until(() => Date.now() > since + WINDOW_MS + 200, 'the end of the idle window');
  }

  describe('a tag dropped from a policy', () => {
    it('is deleted after the second wait when the oracle has seen it the first time, and not before', async () => {
      oracle.says(SEEN);
      const before = Date.now();
      await marked('twice');
      const dry = await purge();
      expect(dry.code).toBe(0);
      expect(dry.report.mode).toBe('dry-run');
      const applied = await purge('--apply');
      expect(applied.of('twice')).toMatchObject({ applied: false, error: null });
      await until(() => askedAbout('twice').length > 0, 'the first question');
      const first = askedAbout('twice')[0] as number;
      expect(first - before).toBeGreaterThanOrEqual(WINDOW_MS);
      oracle.says(UNSEEN);
      expect(await isThere('twice')).toBe(true);
      const protectedBy = (await purge('--apply')).of('twice');
      expect(protectedBy).toMatchObject({ decision: 'protect', applied: false, due_at: expect.any(String) });
      // Counted from when houba asked: on a busy machine the oracle itself begins late.
      const due = Date.parse(protectedBy?.due_at as string);
      expect(due - before).toBeGreaterThanOrEqual(2 * WINDOW_MS);
      await until(async () => !(await isThere('twice')), 'the deletion');
      const second = askedAbout('twice').find((at) => at > first + 1_000) as number;
      expect(second).toBeGreaterThanOrEqual(due);
      expect(await tagsOf('twice')).toEqual(['keep']);
      await regctl.digest(`${placed('twice')}:keep`);
      await until(async () => orphansOf(await readStore(registry, 'demo/twice')).length === 0, 'a clean store');
    });

    it('is told about to the oracle with its digest, name and owner, and nothing secret but what is the oracle’s', async () => {
      const question = oracle.questions().find(({ image_ref }) => image_ref === `${placed('twice')}:drop`);
      expect(question).toMatchObject({
        digest: expect.stringMatching(/^sha256:/),
        identity: { policy: 'twice', import: 'all', variant: 'default' },
        since: expect.stringMatching(/^\d{4}-.*\+00:00$/),
      });
      expect(question?.variables).toContain('USAGE_ORACLE_TOKEN');
      expect(question?.variables).not.toContain('COSIGN_PASSWORD');
      expect(question?.variables.filter((name) => name.startsWith('HOUBA_'))).toEqual([]);
    });

    it('stays when somebody restores it in between, until the policy wants it again', async () => {
      // However slow the machine is, it is not gone before.
      oracle.says(SEEN);
      await marked('restored');
      await purge('--apply');
      const ref = `${placed('restored')}:drop`;
      const { code, stdout } = await houba.run('restore', ref, '--reason', 'team-a pulls it', '--by', 'eve');
      expect(code).toBe(0);
      expect(stdout).toContain('restored by eve: team-a pulls it');
      oracle.says(UNSEEN);
      await due(Date.now());
      expect((await purge('--apply')).of('restored')).toBeUndefined();
      expect((await houba.reconcile(policy('restored', ['keep']))).report.totals).toMatchObject({ marked: 0 });
      expect((await purge('--apply')).of('restored')).toBeUndefined();
      expect(await isThere('restored')).toBe(true);
      const [mark] = (await regctl.artifacts(ref)).filter(({ artifactType }) => artifactType === MARK_ARTIFACT_TYPE);
      expect(mark?.annotations).toMatchObject({
        'io.houba.lifecycle.state': 'restored',
        'io.houba.lifecycle.restored.by': 'eve',
        'io.houba.lifecycle.restored.reason': 'team-a pulls it',
      });
    });

    it('can be restored without any purge, and what has no mark cannot', async () => {
      await marked('early');
      expect((await houba.run('restore', `${placed('early')}:drop`, '--reason', 'needed')).code).toBe(0);
      const { code, stderr } = await houba.run('restore', `${placed('early')}:keep`, '--reason', 'needed');
      expect(code).toBe(1);
      expect(stderr).toContain('no deletion mark');
    });

    it('leaves another tag of the same digest pullable', async () => {
      oracle.says(UNSEEN);
      const since = await marked('shared');
      const digest = await regctl.digest(`${placed('shared')}:drop`);
      await regctl('image', 'copy', `${placed('shared')}:drop`, `${placed('shared')}:mine`);
      await due(since);
      expect((await purge('--apply')).of('shared')).toMatchObject({ decision: 'purge', applied: true, digest });
      expect((await tagsOf('shared')).sort()).toEqual(['keep', 'mine']);
      expect(await regctl.digest(`${placed('shared')}:mine`)).toBe(digest);
      const marks = (await regctl.artifacts(`${placed('shared')}:mine`)).filter(
        ({ artifactType }) => artifactType === MARK_ARTIFACT_TYPE,
      );
      expect(marks).toEqual([]);
      await regctl('image', 'copy', `${placed('shared')}:mine`, `ocidir://${houba.folder}/pulled:mine`);
    });

    it('that shares its digest with a wanted one, with stamps beside it, goes alone', async () => {
      oracle.says(UNSEEN);
      await push(upstream.host, 'beside', ['keep', 'drop'], alike('beside'));
      const beside = { import: { stamp: 'referrer' } };
      await houba.reconcile(policy('beside', ['keep', 'drop'], beside));
      expect(await regctl.digest(`${placed('beside')}:keep`)).toBe(await regctl.digest(`${placed('beside')}:drop`));
      await houba.reconcile(policy('beside', ['keep'], beside));
      await due(Date.now());
      expect((await purge('--apply')).of('beside')).toMatchObject({ applied: true });
      expect(await tagsOf('beside')).toEqual(['keep']);
      expect((await houba.reconcile(policy('beside', ['keep'], beside))).report.totals).toMatchObject({
        ...{ skipped: 1, imported: 0, marked: 0, failed: 0 },
      });
      const tags = (await regctl.artifacts(`${placed('beside')}:keep`)).map(
        ({ annotations }) => annotations['io.houba.tag'],
      );
      expect(tags.filter((tag) => tag !== undefined)).toEqual(['keep']);
    });

    if (once) {
      it('is kept until somebody approves, where that is asked for', async () => {
        oracle.says(UNSEEN);
        await due(await marked('approved'));
        const ref = `${placed('approved')}:drop`;
        expect((await purge('--apply', '--require-approval')).of('approved')).toMatchObject({ decision: 'wait' });
        expect(await isThere('approved')).toBe(true);
        const other = `${ref}@sha256:${'0'.repeat(64)}`;
        expect((await houba.run('approve', other)).code).toBe(1);
        expect(await isThere('approved')).toBe(true);
        const { code, stdout } = await houba.run('approve', ref, '--by', 'eve');
        expect(code).toBe(0);
        expect(stdout).toContain('DELETED');
        expect(await isThere('approved')).toBe(false);
        expect((await houba.run('approve', ref)).code).toBe(2);
        expect(houba.journal()).toContain('"approved_by":"eve"');
      });

      it('is one of at most so many', async () => {
        oracle.says(UNSEEN);
        await marked('many-1');
        await due(await marked('many-2'));
        const { report } = await purge('--apply', '--max-deletions', '1');
        const ours = report.outcomes.filter(({ image_ref }) => image_ref.includes('/many-'));
        expect(ours.map(({ applied }) => applied).sort()).toEqual([false, true]);
        expect(ours.find(({ applied }) => !applied)?.reason).toMatch('--max-deletions');
        await purge('--apply');
        expect([await isThere('many-1'), await isThere('many-2')]).toEqual([false, false]);
      });
    }
  });

  describe('what does not bear the stamp of houba', () => {
    it('is never deleted, whatever mark somebody puts on it', async () => {
      oracle.says(UNSEEN);
      await push(registry.host, 'demo/foreign', ['drop'], alike('foreign'));
      const annotations = {
        'io.houba.lifecycle.state': 'pending-deletion',
        'io.houba.lifecycle.marked-at': '2020-01-01T00:00:00+00:00',
        'io.houba.lifecycle.reason': 'dropped-from-selection',
        'io.houba.lifecycle.tag': 'drop',
        'io.houba.policy': 'foreign',
      };
      const flags = Object.entries(annotations).flatMap(([key, value]) => ['--annotation', `${key}=${value}`]);
      const file = ['--file', '/dev/null'];
      // Not every registry has a catalogue, and no policy writes here.
      const here = ['--repository', placed('foreign')];
      const put = ['artifact', 'put', '--subject', `${placed('foreign')}:drop`, '--artifact-type', MARK_ARTIFACT_TYPE];
      await regctl(...put, ...flags, ...file);
      expect((await purge(...here)).of('foreign')).toMatchObject({
        decision: 'protect',
        reason: expect.stringMatching('stamp'),
      });
      expect((await purge('--apply', ...here)).of('foreign')).toMatchObject({ decision: 'protect', applied: false });
      expect(await isThere('foreign')).toBe(true);
      expect(askedAbout('foreign')).toEqual([]);
    });
  });

  if (once) {
    describe('an oracle that does not answer', () => {
      const plays: [string, (played: PlayingOracle) => void][] = [
        ['{}', (played) => played.says('{}')],
        ['garbage', (played) => played.says('<html>')],
        ['nothing at all', (played) => played.says('')],
        ['an empty last_seen', (played) => played.says('{"last_seen":""}')],
        ['exit 1', (played) => played.fails()],
        ['nothing in time', (played) => played.hangs()],
      ];

      it.each(plays)('deletes nothing: %s', async (what, play) => {
        const name = `mute-${plays.findIndex(([one]) => one === what)}`;
        play(oracle);
        await due(await marked(name));
        const dry = await purge();
        expect(dry.of(name)).toMatchObject({ decision: 'uncertain', applied: false, error: null });
        const { code, of } = await purge('--apply');
        expect(code).toBe(0);
        expect(of(name)).toMatchObject({ decision: 'uncertain', applied: false, error: null });
        expect(await isThere(name)).toBe(true);
      });
    });
  }
});
