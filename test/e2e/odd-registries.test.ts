import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { AuditReport } from '../../domain/report/audit-report.js';
import type { GcReport } from '../../domain/report/collect-report.js';
import type { PurgeReport } from '../../domain/report/purge-report.js';
import { type CountingProxy, startCountingProxy } from '../support/counting-proxy.js';
import { request } from '../support/http.js';
import { interceptAs, ODDITIES, type OddRegistry, WITHOUT_HEAD } from '../support/odd-registries.js';
import { createPlayingOracle, type PlayingOracle, UNSEEN } from '../support/playing-oracle.js';
import { createRebuildWorld, debianBase, type RebuildWorld, TYPES } from '../support/rebuild-world.js';
import { type RunningRegistry, startDistribution, startOlareg } from '../support/registries.js';
import {
  createHoubaWithInstantSyft,
  operationsOf,
  type PolicyOptions,
  type RegctlReader,
  regctlReader,
  until,
} from '../support/stack.js';
import { alike, attestation, index, push } from '../support/upstream-images.js';
import type { CosignKey } from '../support/upstream-signer.js';

/** Those whose description has what ODD_REGISTRIES says, or `all`; in CI some that differ most (docs/development.md). */
const ASKED = process.env.ODD_REGISTRIES;
const WALKED = ODDITIES.filter(({ what, inCi }) =>
  ASKED === undefined ? inCi : ASKED === 'all' || what.includes(ASKED),
);
const DELETING = WALKED.filter(({ deletes }) => deletes).map((odd, at) => ({ ...odd, name: `odd-${at}` }));
const KEEPING = WALKED.filter(({ deletes }) => !deletes).map((odd, at) => ({ ...odd, name: `keeping-${at}` }));

const ALL = [...DELETING, ...KEEPING];

const IDLE_MS = 1_000;

interface Ends {
  /** Upstream and destination as houba sees them. */
  readonly from: CountingProxy;
  readonly to: CountingProxy;
  /** The destination as it is. */
  readonly real: RunningRegistry;
}

let world: RebuildWorld;
let oracle: PlayingOracle;
let theirs: CosignKey;
/** By whether they have a referrers API: upstream, destination. */
const real = new Map<boolean, { readonly upstream: RunningRegistry; readonly destination: RunningRegistry }>();
const ends = new Map<string, Ends>();
let headless: CountingProxy;
/** Another client, at the real registries. */
let regctl: RegctlReader;

beforeAll(async () => {
  world = await createRebuildWorld(
    startDistribution,
    { HOUBA_MAX_DELETION_SHARE: '1', HOUBA_PURGE_MIN_IDLE: `${IDLE_MS / 1_000}s`, HOUBA_STABILITY: '{"window":"0s"}' },
    createHoubaWithInstantSyft,
  );
  const { houba, stock } = world;
  real.set(false, { upstream: await startDistribution(), destination: world.registry });
  real.set(true, { upstream: world.upstream, destination: await startOlareg() });
  headless = await startCountingProxy(world.upstream.host);
  headless.intercept = interceptAs(WITHOUT_HEAD, world.upstream.host);
  const hosts = [...real.values()].flatMap(({ upstream, destination }) => [upstream.host, destination.host]);
  regctl = regctlReader(houba.folder, hosts);
  theirs = await stock.makeKey('theirs');
  const arm64 = alike('odd arm64', { platform: { os: 'linux', architecture: 'arm64' } });
  for (const { upstream } of real.values()) {
    for (const tag of ['1.0.0', '1.1.0']) await push(upstream.host, 'odd', [tag], index([alike(`odd ${tag}`), arm64]));
    await push(upstream.host, 'signed', ['1.0.0'], alike('signed'));
    await stock.sign(theirs, `${upstream.host}/signed:1.0.0`, 'bundle');
  }
  for (const odd of ALL) ends.set(odd.name, await endsOf(odd));
  // Each its own: what one has brought in is not read again for the next.
  for (const { name, hasApi } of ALL)
    await push(realOf(hasApi).upstream.host, `base-${name}`, ['1.0.0'], await debianBase(`base-${name}`));
  const roster = [...ends].flatMap(([name, { from, to }]) => [[`from-${name}`, from] as const, [name, to] as const]);
  houba.env.HOUBA_REGISTRIES = JSON.stringify(
    Object.fromEntries(
      [...roster, ['headless', headless] as const, ['upstream', world.upstream] as const].map(([name, { host }]) => [
        name,
        { host, tls_verify: false },
      ]),
    ),
  );
  oracle = createPlayingOracle(houba.folder);
  oracle.says(UNSEEN);
  houba.env.HOUBA_USAGE_ORACLE_CMD = oracle.command;
  await houba.up();
});

afterAll(async () => {
  await world?.stop();
  for (const { from, to } of ends.values()) await Promise.all([from.stop(), to.stop()]);
  await headless?.stop();
  await real.get(false)?.upstream.stop();
  await real.get(true)?.destination.stop();
});

const realOf = (hasApi: boolean) => real.get(hasApi) as { upstream: RunningRegistry; destination: RunningRegistry };

async function endsOf({ oddity, hasApi, isSource }: OddRegistry): Promise<Ends> {
  const { upstream, destination } = realOf(hasApi);
  const [from, to] = [await startCountingProxy(upstream.host), await startCountingProxy(destination.host)];
  from.intercept = interceptAs(oddity(), upstream.host);
  if (!isSource) to.intercept = interceptAs(oddity(), destination.host);
  return { from, to, real: destination };
}

const endsNamed = (name: string) => ends.get(name) as Ends;

/** Of images in `odd` upstream, unless it says otherwise, into `demo-<registry>` of the odd registry. */
function documentOf(registry: string, more: Partial<PolicyOptions> & { readonly image?: string } = {}): PolicyOptions {
  const { image = 'odd', ...facts } = more;
  const from = `${endsNamed(registry).from.host}/${image}`;
  return { name: `${registry}-${image}`, from, to: [`${registry}:demo-${registry}/${image}`], ...facts };
}

function policy(...what: Parameters<typeof documentOf>): string {
  return world.houba.policies(documentOf(...what));
}

async function reconcile(dir: string, ...args: readonly string[]) {
  const { code, report } = await world.houba.reconcile(dir, ...args);
  const failed = [...report.policies, ...operationsOf(report)].flatMap(({ error }) => error?.message ?? []);
  return { code, failed, totals: report.totals };
}

/** Reconciles, and demands that nothing failed. */
async function reconciled(dir: string, ...args: readonly string[]) {
  const { code, failed, totals } = await reconcile(dir, ...args);
  expect(failed).toEqual([]);
  expect([code, totals.failed]).toEqual([0, 0]);
  return totals;
}

async function report<Report>(
  ...args: readonly string[]
): Promise<{ readonly code: number | null; readonly report: Report }> {
  const { code, stdout, stderr } = await world.houba.run(...args, '--output', 'json');
  expect(stdout, stderr.slice(-3000)).not.toBe('');
  return { code, report: JSON.parse(stdout) as Report };
}

/** Collects twice: the first time dates what has been superseded, from when on its grace time counts. */
async function collect(registry: string): Promise<GcReport & { readonly code: number | null }> {
  const words = ['gc', '--repository', seen(registry), '--apply', '--older-than-days', '0'];
  expect((await report<GcReport>(...words)).code).toBe(0);
  const { code, report: collected } = await report<GcReport>(...words);
  return { ...collected, code };
}

/** The tags that another client lists at the real registry, but for those that only hold evidence. */
async function tagsOf(registry: string, image = 'odd'): Promise<string[]> {
  const tags = await regctl.tags(at(registry, image));
  return tags.filter((tag) => !tag.startsWith('sha256-')).sort();
}

/** A repository as houba sees it, and as it is. */
const seen = (registry: string, image = 'odd') => `${endsNamed(registry).to.host}/demo-${registry}/${image}`;
const at = (registry: string, image = 'odd') => `${endsNamed(registry).real.host}/demo-${registry}/${image}`;

async function typesAt(reference: string): Promise<string[]> {
  return (await regctl.artifacts(reference)).map(({ artifactType }) => artifactType);
}

/** Another client can pull it, and finds its inventory and its signed statements. */
async function isSound(registry: string, tag: string): Promise<void> {
  await regctl('image', 'copy', `${at(registry)}:${tag}`, `ocidir://${world.houba.folder}/pulled:${registry}`);
  const { code, stdout, stderr } = await world.houba.run(
    ...['verify', `${seen(registry)}:${tag}`],
    ...['--require', 'stamp,sbom,signature,provenance'],
  );
  expect(code, stdout + stderr).toBe(0);
}

const OWNED = { owners: ['group:default/new'] };

/** Marks one of two tags, and purges after the idle window. */
async function markAndPurge(registry: string) {
  const names = { tags: { names: ['1.0.0'], includeRegex: '^never$' }, ...OWNED };
  expect(await reconciled(policy(registry, { import: names }))).toMatchObject({ marked: 1, deleted: 0 });
  const since = Date.now();
  await until(() => Date.now() > since + IDLE_MS + 200, 'the end of the idle window');
  return await report<PurgeReport>('purge', '--repository', seen(registry), '--apply');
}

describe.each(ALL)('a registry that $what', ({ name, rebuilds }) => {
  it('copy, sbom, sign: images come with evidence that is found again', async () => {
    expect(await reconciled(policy(name))).toMatchObject({ imported: 2 });
    expect(await tagsOf(name)).toEqual(['1.0.0', '1.1.0']);
    const { manifests = [] } = await regctl.manifest(`${at(name)}:1.0.0`);
    for (const { digest } of manifests) {
      expect(await typesAt(`${at(name)}@${digest}`)).toEqual(expect.arrayContaining([TYPES.spdx, TYPES.bundle]));
    }
    await isSound(name, '1.0.0');
    const again = await reconciled(policy(name), '--recheck');
    expect(again).toMatchObject({ skipped: 2, imported: 0, sbom: 0, attested: 0 });
  });

  it('rebuild', async () => {
    const dir = policy(name, { image: `base-${name}`, import: { transform: [{ injectCA: { certs: ['corp'] } }] } });
    if (!rebuilds) {
      const { code, failed, totals } = await reconcile(dir);
      expect([code, failed, totals.imported]).toEqual([1, [expect.stringMatching(/says nothing/)], 0]);
      expect(
        endsNamed(name)
          .to.writes()
          .filter((each) => each.includes('/base-')),
      ).toEqual([]);
      return;
    }
    expect(await reconciled(dir)).toMatchObject({ imported: 1 });
    expect(await typesAt(`${at(name, `base-${name}`)}:1.0.0`)).toEqual(
      expect.arrayContaining([TYPES.spdx, TYPES.bundle]),
    );
  });

  it('restamp', async () => {
    expect(await reconciled(policy(name, { import: OWNED }))).toMatchObject({ restamped: 2 });
    const { annotations } = await regctl.manifest(`${at(name)}:1.1.0`);
    expect(annotations).toMatchObject({ 'io.houba.owners': 'group:default/new' });
    await isSound(name, '1.1.0');
  });

  it('verifyUpstream: what is signed upstream comes in', async () => {
    const dir = policy(name, { image: 'signed', import: { verifyUpstream: { key: theirs.publicPem } } });
    expect(await reconciled(dir)).toMatchObject({ imported: 1 });
    const { annotations = {} } = await regctl.manifest(`${at(name, 'signed')}:1.0.0`);
    expect(annotations['io.houba.upstream.verified']).toMatch(/^sha256:/);
  });

  it('audit: everything is covered', async () => {
    const where = ['odd', `base-${name}`, 'signed'].flatMap((image) => ['--repository', seen(name, image)]);
    const all = rebuilds ? 4 : 3;
    let audited: AuditReport['counts'] | null = null;
    // An audit looks at what is listed, which may not be all for a moment.
    await until(async () => {
      const { code, report: now } = await report<AuditReport>('audit', ...where, '--signed', '--sbom');
      expect(code).toBe(0);
      audited = now.counts;
      return audited.scanned === all;
    }, 'all images in the lists');
    expect(audited).toMatchObject({ scanned: all, covered: all, signed: all, with_sbom: all, errored: 0 });
  });
});

describe.each(DELETING)('a registry that $what', ({ name }) => {
  it('mark, purge: what nobody has used goes', async () => {
    const { code, report: purged } = await markAndPurge(name);
    expect(code, JSON.stringify(purged)).toBe(0);
    expect(purged.outcomes).toMatchObject([{ decision: 'purge', applied: true, error: null }]);
    expect(await tagsOf(name)).toEqual(['1.0.0']);
    await isSound(name, '1.0.0');
  });

  it('delete: what a policy drops goes, and nothing else', async () => {
    expect(await reconciled(policy(name, { import: OWNED }))).toMatchObject({ imported: 1 });
    const drops = { deletionMode: 'purge', import: { ...OWNED, tags: { includeRegex: '^1[.]1' } } };
    expect(await reconciled(policy(name, drops))).toMatchObject({ deleted: 1 });
    expect(await tagsOf(name)).toEqual(['1.1.0']);
    await isSound(name, '1.1.0');
  });

  it('gc: what no tag shows goes, and nothing else', async () => {
    const newer = { owners: ['group:default/newer'], tags: { includeRegex: '^1[.]1' } };
    expect(await reconciled(policy(name, { import: newer }))).toMatchObject({ restamped: 1 });
    const { code, counts } = await collect(name);
    expect([code, counts.failed]).toEqual([0, 0]);
    expect(counts.collected).toBeGreaterThan(0);
    expect(await tagsOf(name)).toEqual(['1.1.0']);
    await isSound(name, '1.1.0');
  });
});

describe.each(KEEPING)('a registry that $what', ({ name }) => {
  let before: string;
  beforeAll(async () => {
    before = await regctl.digest(`${at(name)}:1.0.0`);
  });
  afterEach(async () => {
    expect(await tagsOf(name)).toEqual(['1.0.0', '1.1.0']);
    expect(await regctl.digest(`${at(name)}:1.0.0`)).toBe(before);
    await isSound(name, '1.0.0');
  });

  it('delete: is told of', async () => {
    const drops = { deletionMode: 'purge', import: { ...OWNED, tags: { includeRegex: '^1[.]1' } } };
    const { code, failed, totals } = await reconcile(policy(name, drops));
    expect([code, totals.deleted, totals.failed]).toEqual([1, 0, 1]);
    expect(failed).toEqual([expect.stringContaining('does not delete')]);
  });

  it('mark, purge: what nobody has used is marked, and the purge is told of', async () => {
    const { code, report: purged } = await markAndPurge(name);
    expect(code).toBe(1);
    const error = { type: 'Unsupported', message: expect.stringContaining('does not delete') };
    expect(purged.outcomes).toMatchObject([{ applied: false, error }]);
  });

  it('gc: takes nothing, and says so', async () => {
    const { code, counts, outcomes } = await collect(name);
    expect([code, counts]).toEqual([1, { repositories: 1, collected: 0, failed: 1 }]);
    const error = { type: 'Unsupported', message: expect.stringContaining('does not delete') };
    expect(outcomes).toMatchObject([{ applied: false, error }]);
  });
});

describe('a source that', () => {
  /** From one of the real upstreams, by name, to the first odd registry. */
  function fromSource(
    { host }: { readonly host: string },
    image: string,
    facts: Readonly<Record<string, unknown>> = {},
  ) {
    const [{ name = '' } = {}] = ALL;
    return world.houba.policies({
      ...{ name: `source-${image}`, from: `${host}/${image}`, to: [`${name}:demo-${name}/source-${image}`] },
      ...{ import: facts },
    });
  }
  const placed = (image: string) => `${at(ALL[0]?.name ?? '', `source-${image}`)}:1.0.0`;
  const whole = alike('odd whole');
  const arm64 = alike('odd whole arm64', { platform: { os: 'linux', architecture: 'arm64' } });
  const { image: statement, descriptor } = attestation(whole);

  async function lose(image: string, digest: string): Promise<void> {
    const { host } = world.upstream;
    await push(host, image, ['1.0.0'], index([whole, statement, arm64], { descriptors: [{}, descriptor, {}] }));
    const { status } = await request(`http://${host}/v2/${image}/manifests/${digest}`, { method: 'DELETE' });
    expect(status).toBe(202);
  }

  it('finds no tag by HEAD is asked by GET', async () => {
    const dir = fromSource(headless, 'odd');
    const { report: planned } = await world.houba.reconcile(dir, '--dry-run');
    const note = expect.stringContaining('2 tags were resolved by GET');
    expect(planned.policies).toMatchObject([{ totals: { imported: 2 }, notes: [note] }]);
    expect(await reconciled(dir)).toMatchObject({ imported: 2 });
  });

  it('has lost an attestation gives the image without it, which report and stamp say', async () => {
    await lose('lost', statement.digest);
    const dir = fromSource(world.upstream, 'lost');
    const { code, report: first } = await world.houba.reconcile(dir);
    expect([code, first.totals.imported]).toEqual([0, 1]);
    expect(operationsOf(first)[0]?.reason).toBe('without an attestation that upstream has lost');
    const { manifests = [], annotations } = await regctl.manifest(placed('lost'));
    expect(manifests.map(({ digest }) => digest)).toEqual([whole.digest, arm64.digest]);
    expect(annotations).toMatchObject({ 'io.houba.lost': statement.digest });
    await regctl('image', 'copy', placed('lost'), `ocidir://${world.houba.folder}/pulled:lost`);
    expect(await reconciled(dir)).toMatchObject({ skipped: 1 });
  });

  it('has lost a platform stops the image, unless the policy leaves that out', async () => {
    await lose('torn', arm64.digest);
    const { failed } = await reconcile(fromSource(world.upstream, 'torn'));
    expect(failed).toEqual([expect.stringMatching(/the linux\/arm64 of .*`platforms`/)]);
    const some = fromSource(world.upstream, 'torn', { platforms: ['linux/amd64'] });
    expect(await reconciled(some)).toMatchObject({ imported: 1 });
  });
});

it('the doctor says of each registry what is odd about it', async () => {
  world.houba.env.POLICY_DIR = world.houba.policies(...[...ends.keys()].map((name) => documentOf(name)));
  const { report: diagnosis } = await report<{ registries: { name: string; detail: string }[] }>('doctor');
  for (const { name, says } of ALL) {
    const found = diagnosis.registries.find((registry) => registry.name === name);
    if (says === null) expect(found?.detail).toBe(endsNamed(name).to.host);
    else expect(found?.detail).toContain(says);
  }
});
