import type { Trust } from '../../adapters/cosign.js';
import type { ReferrerDescriptor } from '../../adapters/registry.js';
import { type Digest, isDigest } from '../../domain/digest.js';
import { HoubaError } from '../../domain/errors.js';
import {
  readNotes,
  readScanReports,
  type ScanReport,
  type SignedScan,
  type Superseded,
  type SupersededManifests,
  supersededManifests,
  supersededNote,
  supersededScans,
  type ThreadLink,
} from '../../domain/lifecycle/gc.js';
import { type ManifestGraph, unneededManifests } from '../../domain/lifecycle/manifest-graph.js';
import { MARK_ARTIFACT_TYPE, readMarks } from '../../domain/lifecycle/mark.js';
import { parseManifest } from '../../domain/manifest.js';
import type { DestinationRepository } from '../../domain/plan/work.js';
import { formatPinned, formatRepository, type Repository } from '../../domain/reference.js';
import type { GcOutcome } from '../../domain/report/gc-report.js';
import { readStamp, stampsBeside } from '../../domain/stamp/annotations.js';
import { asObject, jsonOrNull } from '../../domain/text/json.js';
import { dropEvidenceTags } from '../deletion/delete-tags.js';
import { createGraphReader, type GraphReader } from '../deletion/manifest-graph.js';
import { type Removal, removeManifests, type Victim } from '../deletion/remove-manifests.js';
import type { Dependencies } from '../dependencies.js';
import { readBundles } from '../evidence/read-bundles.js';
import { readManifest } from '../repository/read-manifest.js';
import { askAboutPlaced } from '../retire/judge-tag.js';
import { type StepContext, step } from '../step.js';

export interface CollectionRequest {
  readonly repository: DestinationRepository;
  readonly keep: number;
  readonly olderThanDays: number;
  /** The run's, RFC 3339. */
  readonly now: string;
  /**
   * Whether what is found will be deleted. Then only so much is found at once, and what is superseded and does not say since
   * when gets a note, so that its time begins.
   */
  readonly apply: boolean;
}

/** What one repository can do without. It is kept until all of it is gone. */
export interface Collection {
  readonly outcomes: readonly GcOutcome[];
  /** Reports with their signed twins, in the order of deletion. */
  readonly scans: readonly Victim[];
  /** In the order of deletion. */
  readonly manifests: readonly Digest[];
  /** What tags showed before, and still needs to stay. */
  readonly kept: readonly Digest[];
  /** Whether there is more, to be found once these are gone. */
  readonly more: boolean;
}

const DAY_MS = 86_400_000;
const SCAN_PREDICATE_TYPE = 'https://houba.dev/predicate/scan/v1';

/** A signed statement about a scan is small. */
const LARGEST_BUNDLE = 4 * 1024 * 1024;

/** A thread is followed this far. */
const LONGEST_THREAD = 1_000;

/** Threads of one tag: where several tags part and meet again and again, there are more than anybody could follow. */
const MOST_THREADS = 1_000;

/** Superseded digests, and scan reports, of one repository that go at once: a history has to carry their lists. */
const MOST_LINKS = 200;
const MOST_SCANS = 2_000;

/**
 * Finds what newer reports and newer digests have superseded in one repository (section 8.5). Nothing without houba's stamp
 * is collected as superseded, nor what somebody restored or the usage oracle, where there is one, does not know to be out
 * of use. Nothing is collected where the label prefix is empty.
 *
 * Throws `ConfigInvalid` when signatures cannot be verified as the settings ask for, and what reading a registry throws.
 */
export function createPlanCollection(deps: Dependencies) {
  const graphs = createGraphReader(deps);
  return step(async (request: CollectionRequest, context): Promise<Collection> => {
    const { repository, keep, olderThanDays, now, apply } = request;
    const { signal } = context;
    const nothing: Collection = { outcomes: [], scans: [], manifests: [], kept: [], more: false };
    if (deps.settings.prefix === '') return nothing;
    const [graceMs, nowMs] = [olderThanDays * DAY_MS, Date.parse(now)];
    const { tags } = await graphs.tags(repository, signal);
    const heads = [...new Set(tags.values())];
    context.progress({ repository: formatRepository(repository), tags: tags.size });
    const scans = await findScans(deps, repository, heads, { keep, graceMs, nowMs, apply }, signal);
    const threads = await findThreads(deps, graphs, repository, heads, signal);
    const links = [...new Set(threads.flatMap((thread) => thread.slice(1).map(({ digest }) => digest)))];
    if (links.length === 0) return { ...nothing, ...scans };
    const graph = await graphs.read(repository, links, heads, signal);
    const most = apply ? MOST_LINKS : Number.POSITIVE_INFINITY;
    const find = (inUse: ReadonlySet<Digest>) =>
      supersededManifests(graph, threads.map(staying(inUse)), graceMs, nowMs, most);
    const { collected, unnoted, more } = await unlessInUse(deps, repository, graph, find, graceMs, context);
    if (apply) await noteSuperseded(deps, repository, unnoted, nowMs, signal);
    const going = new Set(collected);
    const kept = links.filter((digest) => !going.has(digest));
    const outcome: GcOutcome = {
      kind: 'superseded',
      image_ref: formatRepository(repository),
      ...{ kept: kept.length, collected, applied: false, error: null },
    };
    const outcomes = collected.length === 0 ? scans.outcomes : [...scans.outcomes, outcome];
    if (!apply) return { ...nothing, outcomes };
    return { outcomes, scans: scans.scans, manifests: collected, kept, more: more || scans.more };
  });
}

/** Deletes what was planned and is still not needed by any tag. May run twice. */
export function createCollect(deps: Dependencies) {
  const graphs = createGraphReader(deps);
  return step(
    async ({ repository, planned }: { repository: DestinationRepository; planned: Collection }, { signal }) => {
      // Before it is announced: a placement does all again that a deletion was announced beside.
      await refuseBusy(deps, repository);
      return deps.deletions.during(repository, async () => {
        const scans = await removeInPeace(deps, repository, planned.scans, signal);
        const shown = await graphs.tags(repository, signal);
        const kept = [...shown.tags.values(), ...planned.kept];
        const graph: ManifestGraph = await graphs.read(repository, planned.manifests, kept, signal);
        const unneeded = unneededManifests(graph, planned.manifests, kept, 'cut');
        const victims = unneeded.map((digest) => victimOf(digest, graph.get(digest)?.subject ?? null));
        const leftBehind = [...scans, ...(await removeInPeace(deps, repository, victims, signal))];
        const isGone = (digest: Digest) =>
          !graph.has(digest) || (unneeded.includes(digest) && !leftBehind.includes(digest));
        await dropEvidenceTags(deps, graphs, repository, shown, new Set(planned.manifests.filter(isGone)), signal);
        deps.journal.event('collected', {
          dest: formatRepository(repository),
          ...{ scans: planned.scans.length, manifests: unneeded.length, left_behind: leftBehind.length },
        });
        const removal: Removal = { leftBehind };
        return removal;
      });
    },
  );
}

/**
 * Deletes one manifest after the other for as long as nobody places an image here: a placement relies on what it finds.
 *
 * @returns what the registry keeps
 * @throws HoubaError `Interrupted` when somebody is at work
 */
async function removeInPeace(
  deps: Dependencies,
  repository: Repository,
  victims: readonly Victim[],
  signal: AbortSignal,
): Promise<Digest[]> {
  const leftBehind: Digest[] = [];
  for (const victim of victims) {
    await refuseBusy(deps, repository);
    leftBehind.push(...(await removeManifests(deps, repository, [victim], signal)).leftBehind);
  }
  return leftBehind;
}

async function refuseBusy(deps: Dependencies, repository: Repository): Promise<void> {
  const busy = await deps.whoIsAtWork('', repository);
  if (busy === null) return;
  throw new HoubaError('Interrupted', `${busy} is at work in ${formatRepository(repository)}`, {
    hint: 'nothing is deleted before it has ended; then this goes on by itself',
  });
}

/**
 * What is superseded, but for what is in use: asked of the oracle, where there is one, for every digest by which a runtime
 * may know it. No answer means in use (section 8.4).
 */
async function unlessInUse(
  deps: Dependencies,
  repository: DestinationRepository,
  graph: ManifestGraph,
  find: (inUse: ReadonlySet<Digest>) => SupersededManifests,
  graceMs: number,
  context: StepContext,
): Promise<SupersededManifests> {
  const inUse = new Set<Digest>();
  const asked = new Set<Digest>();
  for (;;) {
    const found = find(inUse);
    const unasked = deps.settings.hasOracle ? found.links.filter((digest) => !asked.has(digest)) : [];
    if (unasked.length === 0) return found;
    for (const digest of unasked) {
      const { kind, detail } = await askAboutPlaced(deps, repository, digest, graph, graceMs, context);
      asked.add(digest);
      if (kind === 'unseen') continue;
      inUse.add(digest);
      deps.journal.event('superseded.kept', { dest: formatRepository(repository), digest, use: kind, detail });
    }
  }
}

function staying(inUse: ReadonlySet<Digest>) {
  return (thread: readonly ThreadLink[]): ThreadLink[] =>
    thread.map((link) => (inUse.has(link.digest) ? { ...link, stays: true } : link));
}

function victimOf(digest: Digest, subject: Digest | null): Victim {
  return subject === null ? { digest } : { digest, subject };
}

interface Limits {
  readonly keep: number;
  readonly graceMs: number;
  readonly nowMs: number;
  readonly apply: boolean;
}

type FoundScans = Pick<Collection, 'outcomes' | 'scans' | 'more'>;

/** The superseded reports of each image that a tag shows, and of its platforms. */
async function findScans(
  deps: Dependencies,
  repository: Repository,
  heads: readonly Digest[],
  { keep, graceMs, nowMs, apply }: Limits,
  signal: AbortSignal,
): Promise<FoundScans> {
  const outcomes: GcOutcome[] = [];
  const scans: Victim[] = [];
  const seen = new Set(heads);
  let trust: Promise<Trust | null> | null = null;
  // A set that grows while it is walked is walked to its end.
  for (const digest of seen) {
    if (apply && scans.length >= MOST_SCANS) return { outcomes, scans, more: true };
    // A platform that an index names need not be there.
    const raw = await deps.reader.getManifest(repository, digest, signal);
    if (raw === null) continue;
    const manifest = parseManifest(raw.bytes, raw.mediaType);
    if (manifest.kind === 'index') for (const child of manifest.manifests) seen.add(child.digest);
    const referrers = await deps.reader.listReferrers(repository, digest, {}, signal);
    const reports = readScanReports(referrers, deps.settings.prefix);
    if (reports.length <= keep) continue;
    const names = await reportNames(deps, repository, reports, signal);
    const collect = async (by: Trust | null) => {
      const signed = await readSignedScans(deps, { repository, digest, referrers, names, trust: by }, signal);
      return supersededScans(reports, signed, keep, graceMs, nowMs);
    };
    // Verifying takes nothing else away, and a process for each statement.
    if ((await collect(null)).length === 0) continue;
    trust ??= deps.readTrust(signal);
    const collected = await collect(await trust);
    if (collected.length === 0) continue;
    scans.push(...collected.map((scan) => ({ digest: scan, subject: digest })));
    const left = reports.filter((report) => !collected.includes(report.digest)).length;
    const image = formatPinned(repository, digest);
    outcomes.push({ kind: 'scans', image_ref: image, kept: left, collected, applied: false, error: null });
  }
  return { outcomes, scans, more: false };
}

interface ScannedImage {
  readonly repository: Repository;
  readonly digest: Digest;
  readonly referrers: readonly ReferrerDescriptor[];
  readonly names: ReadonlyMap<string, Digest | null>;
  /** null: every statement counts as valid. */
  readonly trust: Trust | null;
}

/** The signed statements about the scans of an image. */
async function readSignedScans(
  { reader, cosign }: Dependencies,
  { repository, digest, referrers, names, trust }: ScannedImage,
  signal: AbortSignal,
): Promise<SignedScan[]> {
  const signed: SignedScan[] = [];
  const wanted = new Set([SCAN_PREDICATE_TYPE]);
  for await (const { referrer, content } of readBundles(
    reader,
    repository,
    referrers,
    wanted,
    LARGEST_BUNDLE,
    signal,
  )) {
    if ('fault' in content) continue;
    const { report: name, attestedAt } = readScanPredicate(content.bytes);
    const report = name === null ? null : (names.get(name) ?? null);
    if (report === null) continue;
    const claim = { digest, predicateType: SCAN_PREDICATE_TYPE };
    const refused = trust === null ? null : (await cosign.verifyBundle(content.bytes, claim, trust, signal)).reason;
    signed.push({ digest: referrer, report, attestedAt, valid: refused == null });
  }
  return signed;
}

/** Statements name a report by its referrer, or by its document; null: several have that. */
async function reportNames(
  { reader }: Dependencies,
  repository: Repository,
  reports: readonly ScanReport[],
  signal: AbortSignal,
): Promise<Map<string, Digest | null>> {
  const names = new Map<string, Digest | null>();
  for (const { digest } of reports) {
    const { manifest } = await readManifest(reader, repository, digest, signal);
    const layers = manifest.kind === 'image' ? new Set(manifest.layers.map((layer) => layer.digest)) : [];
    for (const layer of layers) names.set(layer, names.has(layer) ? null : digest);
    names.set(digest, digest);
  }
  return names;
}

/** What a signed scan says. */
function readScanPredicate(bytes: Uint8Array): { report: Digest | null; attestedAt: string | null } {
  const bundle = asObject(jsonOrNull(bytes));
  const { payload } = asObject(bundle.dsseEnvelope);
  const statement = typeof payload === 'string' ? asObject(jsonOrNull(Buffer.from(payload, 'base64'))) : {};
  const { report_digest: report, attested_at: attestedAt } = asObject(statement.predicate);
  return {
    report: typeof report === 'string' && isDigest(report) ? report : null,
    attestedAt: typeof attestedAt === 'string' ? attestedAt : null,
  };
}

/** For each head, what it superseded, and so on: one thread a branch. */
async function findThreads(
  deps: Dependencies,
  graphs: GraphReader,
  repository: DestinationRepository,
  heads: readonly Digest[],
  signal: AbortSignal,
): Promise<ThreadLink[][]> {
  const graph = await graphs.read(repository, [], heads, signal);
  const links = new Map<Digest, Promise<ThreadLink | null>>();
  const linkOf = (digest: Digest): Promise<ThreadLink | null> => {
    const known = links.get(digest) ?? readLink(deps, repository, digest, signal);
    links.set(digest, known);
    return known;
  };
  const threads: ThreadLink[][] = [];
  for (const head of heads) {
    // Also where nobody knows what came before.
    threads.push([{ digest: head, created: null, notes: new Map(), stays: false }]);
    for (const path of threadsFrom(graph, head)) {
      if (path.length > 1) threads.push(untilOver(await Promise.all(path.map(linkOf))));
    }
  }
  return threads;
}

/** The graph remembers manifests that an earlier collection has deleted. What is not houba's is not for it to collect. */
function untilOver(links: readonly (ThreadLink | null)[]): ThreadLink[] {
  const found: ThreadLink[] = [];
  for (const link of links) {
    if (link === null) break;
    found.push(link);
  }
  return found;
}

function threadsFrom(graph: ManifestGraph, head: Digest): Digest[][] {
  const threads: Digest[][] = [];
  const follow = (path: Digest[]): void => {
    const last = path.at(-1) as Digest;
    const before = (graph.get(last)?.supersedes ?? []).filter((digest) => graph.has(digest) && !path.includes(digest));
    if (threads.length > MOST_THREADS) throw tangled(head);
    if (before.length === 0 || path.length === LONGEST_THREAD) threads.push(path);
    else for (const digest of before) follow([...path, digest]);
  };
  follow([head]);
  return threads;
}

function tangled(head: Digest): HoubaError {
  return new HoubaError('Unsupported', `${head} has more than ${MOST_THREADS} threads of what it superseded`, {
    hint: 'nothing is collected here; delete some of the tags that show it',
  });
}

/** null: it is gone, or bears no stamp. */
async function readLink(
  { reader, settings }: Dependencies,
  repository: Repository,
  digest: Digest,
  signal: AbortSignal,
): Promise<ThreadLink | null> {
  const { prefix } = settings;
  const raw = await reader.getManifest(repository, digest, signal);
  if (raw === null) return null;
  const manifest = parseManifest(raw.bytes, raw.mediaType);
  const referrers = await reader.listReferrers(repository, digest, {}, signal);
  const stamp = readStamp(manifest.annotations, prefix) ?? stampsBeside(referrers, prefix).at(-1)?.stamp ?? null;
  if (stamp === null) return null;
  const isRestored = readMarks(digest, referrers, prefix).some(
    ({ mark }) => mark.tag !== null && mark.state === 'restored',
  );
  const notes = readNotes(referrers, prefix);
  return { digest, created: stamp.created, notes, stays: isRestored };
}

async function noteSuperseded(
  { regctl, settings }: Dependencies,
  repository: Repository,
  unnoted: readonly Superseded[],
  nowMs: number,
  signal: AbortSignal,
): Promise<void> {
  for (const { digest, by } of unnoted) {
    const annotations = supersededNote(settings.prefix, by, nowMs);
    await regctl.putArtifact(repository, digest, { artifactType: MARK_ARTIFACT_TYPE, annotations }, signal);
  }
}
