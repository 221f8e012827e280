import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MARK_ARTIFACT_TYPE } from '../../domain/lifecycle/mark.js';
import { type CountingProxy, startCountingProxy } from '../support/counting-proxy.js';
import { type RunningRegistry, startDistribution, startOlareg } from '../support/registries.js';
import {
  createHoubaWithInstantSyft,
  type Houba,
  operationsOf,
  type PolicyOptions,
  type RegctlReader,
  regctlReader,
} from '../support/stack.js';
import { orphansOf, readDistributionStore, readOlaregStore, type StoredRepository } from '../support/storage.js';
import { alike, image, index, push } from '../support/upstream-images.js';

const KINDS = [
  ['olareg', startOlareg, readOlaregStore],
  ['distribution, which has no referrers API', startDistribution, readDistributionStore],
] as const;

const only = (includeRegex: string) => ({ includeRegex });

describe.each(KINDS)('on %s', (_, startRegistry, readStore) => {
  /** What does not depend on the kind of registry is shown with one of them. */
  const once = startRegistry === startOlareg;
  let upstream: RunningRegistry;
  let registry: RunningRegistry;
  let proxy: CountingProxy;
  let houba: Houba;
  let regctl: RegctlReader;

  beforeAll(async () => {
    upstream = await startOlareg({ inMemory: true });
    registry = await startRegistry();
    proxy = await startCountingProxy(registry.host);
    houba = await createHoubaWithInstantSyft({
      up: { host: upstream.host, tls_verify: false },
      main: { host: proxy.host, tls_verify: false },
      away: { host: '127.0.0.1:1', tls_verify: false },
    });
    regctl = regctlReader(houba.folder, [registry.host, upstream.host]);
    await houba.up();
  });
  afterAll(async () => {
    await houba?.dispose();
    await proxy?.stop();
    await registry?.stop();
    await upstream?.stop();
  });

  /** One policy named like its repository, upstream and below `demo/`. */
  function policy(name: string, more: Partial<PolicyOptions> = {}): string {
    return houba.policies({ name, from: `${upstream.host}/${name}`, to: [`main:demo/${name}`], ...more });
  }

  const placed = (name: string, tag?: string) => `${registry.host}/demo/${name}${tag === undefined ? '' : `:${tag}`}`;

  /** Tags as they are listed, but for those that only hold evidence. */
  const tagsOf = async (name: string) =>
    (await regctl.tags(placed(name))).filter((tag) => !tag.startsWith('sha256-')).sort();

  /** The marks on what a tag shows, as `tag reason`. */
  async function marksOn(reference: string) {
    const artifacts = await regctl.artifacts(reference);
    return artifacts.filter(({ artifactType }) => artifactType === MARK_ARTIFACT_TYPE);
  }
  const told = async (reference: string) =>
    (await marksOn(reference)).map(({ annotations: has }) =>
      [has['io.houba.lifecycle.tag'], has['io.houba.lifecycle.reason']].join(' '),
    );

  const storeOf = (name: string): Promise<StoredRepository> => readStore(registry, `demo/${name}`);

  async function publish(name: string, ...tags: readonly string[]): Promise<void> {
    for (const tag of tags) await push(upstream.host, name, [tag], alike(`${name} ${tag}`));
  }

  describe('a tag that left the selection', () => {
    it('gets one mark that names it, however often it is seen, and loses it when it is wanted again', async () => {
      await publish('dropped', '1.0.0', '1.1.0', '1.2.0');
      const all = policy('dropped');
      const less = policy('dropped', { import: { tags: only('^1\\.[12]') } });
      await houba.reconcile(all);
      const digest = await regctl.digest(placed('dropped', '1.0.0'));

      const { code, report } = await houba.reconcile(less);
      expect(code).toBe(0);
      expect(report.totals).toMatchObject({ marked: 1, deleted: 0, skipped: 2, failed: 0 });
      expect(report.policies[0]?.targets[0]?.operations).toMatchObject([
        { kind: 'marked', out_tag: '1.0.0', applied: true, out_digest: digest, reason: 'dropped-from-selection' },
      ]);
      const [mark, ...others] = await marksOn(placed('dropped', '1.0.0'));
      expect(others).toEqual([]);
      expect(mark?.annotations).toEqual({
        'io.houba.import': 'all',
        'io.houba.lifecycle.marked-at': expect.stringMatching(/^\d{4}-.*\+00:00$/),
        'io.houba.lifecycle.reason': 'dropped-from-selection',
        'io.houba.lifecycle.state': 'pending-deletion',
        'io.houba.lifecycle.tag': '1.0.0',
        'io.houba.policy': 'dropped',
        'io.houba.variant': 'default',
      });
      expect(await regctl.digest(placed('dropped', '1.0.0'))).toBe(digest);

      proxy.reset();
      expect((await houba.reconcile(less)).report.totals).toMatchObject({ marked: 0, failed: 0 });
      // What is remembered costs one HEAD a tag, marked or not.
      const reads = proxy.requests.filter(({ path }) => /\/(manifests|referrers)\//.test(path));
      expect(reads.map(({ method }) => method)).toEqual(['HEAD', 'HEAD', 'HEAD']);
      expect((await houba.reconcile(less, '--recheck')).report.totals).toMatchObject({ marked: 0, failed: 0 });
      expect(await marksOn(placed('dropped', '1.0.0'))).toEqual([mark]);

      expect((await houba.reconcile(all)).report.totals).toMatchObject({ skipped: 3, marked: 0, failed: 0 });
      expect(await marksOn(placed('dropped', '1.0.0'))).toEqual([]);
      expect(orphansOf(await storeOf('dropped'))).toEqual([]);
    });

    it('is only told of in a dry run', async () => {
      const less = policy('dropped', { import: { tags: only('^1\\.[12]') } });
      proxy.reset();
      const { code, stdout } = await houba.run('plan', less, '--output', 'json', '--detailed-exitcode');
      expect(code).toBe(10);
      expect(operationsOf(JSON.parse(stdout))).toMatchObject([{ kind: 'marked', out_tag: '1.0.0', applied: false }]);
      expect(proxy.writes()).toEqual([]);
    });

    it('that another tag shows as well is marked by its own name alone', async () => {
      await publish('aliased', '1.0.0', '1.1.0');
      await houba.reconcile(policy('aliased', { import: { tags: { aliases: ['{major}'] } } }));
      const { report } = await houba.reconcile(policy('aliased'));
      expect(report.totals).toMatchObject({ marked: 1, skipped: 2, failed: 0 });
      expect(await told(placed('aliased', '1.1.0'))).toEqual(['1 dropped-from-selection']);
    });

    it('and was restored by somebody is left alone, also in mode purge', async () => {
      await publish('restored', '1.0.0', '1.1.0', '1.2.0');
      await houba.reconcile(policy('restored'));
      const less = { import: { tags: only('^1\\.[12]') } };
      await houba.reconcile(policy('restored', less));
      const [mark] = await marksOn(placed('restored', '1.0.0'));
      const annotations = { ...mark?.annotations, 'io.houba.lifecycle.state': 'restored' };
      const flags = Object.entries(annotations).flatMap(([key, value]) => ['--annotation', `${key}=${value}`]);
      const subject = placed('restored', '1.0.0');
      // Without a file it would wait for content.
      const content = ['--file', '/dev/null', '--file-media-type', MARK_ARTIFACT_TYPE];
      await regctl(
        'artifact',
        'put',
        '--subject',
        subject,
        '--artifact-type',
        MARK_ARTIFACT_TYPE,
        ...content,
        ...flags,
      );
      await regctl('manifest', 'delete', '--referrers', `${placed('restored')}@${mark?.digest}`);
      for (const mode of ['mark', 'purge']) {
        const { code, report } = await houba.reconcile(policy('restored', { ...less, deletionMode: mode }));
        expect(code).toBe(0);
        expect(report.totals).toMatchObject({ marked: 0, deleted: 0, failed: 0 });
      }
      expect(await tagsOf('restored')).toEqual(['1.0.0', '1.1.0', '1.2.0']);
    });
  });

  describe('mode purge', () => {
    it('deletes only what is ours and unwanted, with all that it alone needs', async () => {
      const shared = image('purged shared', { platform: { os: 'linux', architecture: 'arm64' } });
      for (const tag of ['1.0.0', '1.1.0', '1.2.0']) {
        await push(upstream.host, 'purged', [tag], index([image(`purged ${tag}`), shared]));
      }
      await houba.reconcile(policy('purged', { import: { tags: { aliases: ['{major}'] } } }));
      await push(registry.host, 'demo/purged', ['9.9.9'], image('theirs'));
      const kept = await regctl.digest(placed('purged', '1.2.0'));
      const before = await storeOf('purged');

      const purging = policy('purged', { deletionMode: 'purge', import: { tags: only('^1\\.[12]') } });
      const { code, report } = await houba.reconcile(purging);
      expect(code).toBe(0);
      expect(report.totals).toMatchObject({ deleted: 2, marked: 0, skipped: 2, failed: 0 });
      expect(report.policies[0]?.targets[0]?.operations).toMatchObject([
        { kind: 'deleted', out_tag: '1', applied: true, out_digest: kept },
        { kind: 'deleted', out_tag: '1.0.0', applied: true },
      ]);
      expect(await tagsOf('purged')).toEqual(['1.1.0', '1.2.0', '9.9.9']);

      const after = await storeOf('purged');
      expect(orphansOf(after)).toEqual([]);
      const [gone] = [...before.tags].filter(([tag]) => tag === '1.0.0').map(([, digest]) => digest);
      expect(after.manifests.has(gone ?? '')).toBe(false);
      expect([...after.manifests.values()].some(({ subject }) => subject?.digest === gone)).toBe(false);
      // The other platform is shared, and its inventory with it.
      for (const tag of ['1.1.0', '1.2.0']) {
        await regctl('manifest', 'get', `${placed('purged', tag)}`, '--platform', 'linux/arm64');
        expect((await regctl.artifacts(placed('purged', tag))).length).toBeGreaterThan(0);
      }
      const verified = await houba.run('verify', `${proxy.host}/demo/purged:1.2.0`, '--require', 'stamp,sbom');
      expect([verified.code, verified.stderr]).toMatchObject([0, expect.anything()]);
      expect((await houba.reconcile(purging, '--recheck')).report.totals).toMatchObject({ deleted: 0, skipped: 2 });
    });

    it('takes the past of a tag along', async () => {
      await publish('past', '1.0.0', '1.1.0');
      const owned = (owner: string, more: Partial<PolicyOptions> = {}) =>
        policy('past', { ...more, import: { owners: [`user:default/${owner}`], ...more.import } });
      await houba.reconcile(owned('a'));
      expect((await houba.reconcile(owned('b'))).report.totals).toMatchObject({ restamped: 2 });
      const dir = owned('b', { deletionMode: 'purge', import: { tags: only('^1\\.1') } });
      expect((await houba.reconcile(dir)).report.totals).toMatchObject({ deleted: 1, failed: 0 });
      const store = await storeOf('past');
      expect(orphansOf(store)).toEqual([]);
      const stamps = [...store.manifests.values()].map(
        ({ annotations }) => annotations?.['org.opencontainers.image.base.name'],
      );
      expect(stamps.filter((name) => name?.endsWith(':1.0.0'))).toEqual([]);
      expect(stamps.filter((name) => name?.endsWith(':1.1.0'))).toHaveLength(2);
    });
  });

  if (once) {
    describe('more than one run may take away', () => {
      it.each(['mark', 'purge'])('is refused in mode %s, unless the run is told', async (deletionMode) => {
        const name = `mass-${deletionMode}`;
        await publish(name, '1.0.0', '1.1.0', '1.2.0');
        await houba.reconcile(policy(name));
        const dir = policy(name, { deletionMode, import: { tags: only('^1\\.1') } });
        const refused = await houba.reconcile(dir);
        expect(refused.code).toBe(1);
        expect(refused.report.totals).toMatchObject({ failed: 2, marked: 0, deleted: 0, skipped: 1 });
        expect(operationsOf(refused.report)[0]?.error).toMatchObject({
          type: 'PreconditionFailed',
          message: expect.stringContaining(`2 of 3 managed tags of ${proxy.host}/demo/${name}`),
        });
        expect(await tagsOf(name)).toHaveLength(3);
        expect(await marksOn(placed(name, '1.0.0'))).toEqual([]);

        const allowed = await houba.reconcile(dir, '--allow-mass-deletion');
        expect(allowed.code).toBe(0);
        const kind = deletionMode === 'mark' ? 'marked' : 'deleted';
        expect(allowed.report.totals).toMatchObject({ [kind]: 2, failed: 0 });
        expect(await tagsOf(name)).toHaveLength(deletionMode === 'mark' ? 3 : 1);
      });
    });
  }

  describe('retention', () => {
    it('marks the surplus of each variant, changes a reason in one step, and takes back what is no longer in surplus', async () => {
      await publish('kept', '1.0.0', '1.1.0', '1.2.0', '1.3.0');
      const variants = [{ name: 'plain' }, { name: 'eu', suffix: '-eu' }];
      const keeping = (keep: number, tags: object = {}) =>
        policy('kept', {
          deletionMode: 'purge',
          import: { variants, archive: { keep, olderThanDays: 0 }, tags: { aliases: ['latest'], ...tags } },
        });
      await houba.reconcile(keeping(9));
      const { report } = await houba.reconcile(keeping(1));
      expect(report.totals).toMatchObject({ marked: 4, deleted: 0, failed: 0 });
      // Placed in one run, the higher version is the newer; what an alias shows is not counted.
      for (const suffix of ['', '-eu']) {
        expect(await told(placed('kept', `1.0.0${suffix}`))).toEqual([`1.0.0${suffix} retention-excess`]);
        expect(await told(placed('kept', `1.1.0${suffix}`))).toEqual([`1.1.0${suffix} retention-excess`]);
        expect(await told(placed('kept', `1.2.0${suffix}`))).toEqual([]);
      }
      expect((await houba.reconcile(keeping(1))).report.totals).toMatchObject({ marked: 0, failed: 0 });
      expect((await houba.reconcile(keeping(2))).report.totals).toMatchObject({ marked: 0, failed: 0 });
      expect(await told(placed('kept', '1.1.0'))).toEqual([]);
      expect(await told(placed('kept', '1.0.0'))).toEqual(['1.0.0 retention-excess']);

      const dropping = policy('kept', { import: { variants, tags: { aliases: ['latest'], ...only('^1\\.[123]') } } });
      expect((await houba.reconcile(dropping)).report.totals).toMatchObject({ marked: 2, failed: 0 });
      expect(await told(placed('kept', '1.0.0'))).toEqual(['1.0.0 dropped-from-selection']);
      expect(orphansOf(await storeOf('kept'))).toEqual([]);
    });

    if (once) {
      it('that would mark too much at once needs a word', async () => {
        await publish('archive', '1.0.0', '1.1.0', '1.2.0');
        await houba.reconcile(policy('archive'));
        const dir = policy('archive', { import: { archive: { keep: 0, olderThanDays: 0 } } });
        expect((await houba.reconcile(dir)).report.totals).toMatchObject({ failed: 3, marked: 0 });
        const { report } = await houba.reconcile(dir, '--allow-mass-deletion');
        expect(report.totals).toMatchObject({ failed: 0, marked: 3, skipped: 3 });
        expect((await houba.reconcile(policy('archive'))).report.totals).toMatchObject({ failed: 0, marked: 0 });
        expect(await told(placed('archive', '1.0.0'))).toEqual([]);
      });
    }
  });

  if (once) {
    describe('two imports of one policy in one repository', () => {
      it('never take away what is the other’s, in ten runs', async () => {
        await publish('twofold', '1.0.0', '1.1.0', '2.0.0', '2.1.0');
        const dir = policy('twofold', {
          deletionMode: 'purge',
          import: { name: 'one', tags: { ...only('^1\\.'), aliases: ['{major}'] } },
          also: [{ name: 'two', tags: { ...only('^2\\.'), aliases: ['{major}', 'latest'] } }],
        });
        const tags = ['1', '1.0.0', '1.1.0', '2', '2.0.0', '2.1.0', 'latest'];
        for (let run = 0; run < 10; run++) {
          const { code, report } = await houba.reconcile(dir, ...(run % 3 === 2 ? ['--recheck'] : []));
          expect(code).toBe(0);
          expect(report.totals).toMatchObject({ deleted: 0, marked: 0, failed: 0 });
          expect(await tagsOf('twofold')).toEqual(tags);
        }
      });
    });
  }

  if (once) {
    describe.each(['mark', 'purge'])('in mode %s, when upstream', (deletionMode) => {
      const name = `lost-${deletionMode}`;
      const unharmed = async () => {
        expect(await tagsOf(name)).toEqual(['1.0.0', '1.1.0']);
        expect(await marksOn(placed(name, '1.0.0'))).toEqual([]);
      };
      beforeAll(async () => {
        await publish(name, '1.0.0', '1.1.0');
        await houba.reconcile(policy(name, { deletionMode }));
      });

      const lost: [string, RegExp, () => string][] = [
        ['does not know the repository', /is unknown to its registry|lists no tags/, () => `${upstream.host}/never`],
      ];
      // Asked again and again for half a minute.
      if (deletionMode === 'purge') lost.push(['does not answer', /127\.0\.0\.1:1/, () => '127.0.0.1:1/gone']);

      it.each(lost)('%s, nothing is marked or deleted, and the run says why', async (_rule, why, from) => {
        proxy.reset();
        const dir = policy(name, { deletionMode, from: from() });
        const { code, report } = await houba.reconcile(dir, '--allow-mass-deletion');
        expect(code).not.toBe(0);
        expect(report.policies[0]?.error?.message).toMatch(why);
        expect(report.totals).toMatchObject({ marked: 0, deleted: 0 });
        expect(proxy.writes()).toEqual([]);
        await unharmed();
      });

      it('lists no tags any more, nothing is marked or deleted, and the run says why', async () => {
        for (const tag of ['1.0.0', '1.1.0']) await regctl('tag', 'delete', `${upstream.host}/${name}:${tag}`);
        proxy.reset();
        const { code, report } = await houba.reconcile(policy(name, { deletionMode }), '--allow-mass-deletion');
        expect(code).not.toBe(0);
        expect(report.policies[0]?.error?.message).toMatch(/lists no tags|is unknown to its registry/);
        expect(proxy.writes()).toEqual([]);
        await unharmed();
      });
    });
  }
});
