import { type Digest, isDigest } from '../domain/digest.js';
import type { DestinationRepository } from '../domain/durable/placement.js';
import { asObject, jsonOrNull } from '../domain/json.js';
import {
  notedAt,
  readScanReports,
  type ScanReport,
  type SignedScan,
  supersededManifests,
  supersededNote,
  supersededScans,
  type ThreadLink,
} from '../domain/lifecycle/gc.js';
import { type ManifestGraph, unneededManifests } from '../domain/lifecycle/manifest-graph.js';
import { MARK_ARTIFACT_TYPE } from '../domain/lifecycle/mark.js';
import { parseManifest } from '../domain/manifest.js';
import { formatPinned, formatRepository, type Repository } from '../domain/reference.js';
import { HoubaError } from '../domain/report/errors.js';
import type { GcOutcome } from '../domain/report/gc-report.js';
import { readStamp, stampsBeside } from '../domain/stamp/annotations.js';
import { readBundles } from './bundles.js';
import type { Dependencies } from './dependencies.js';
import { readManifest } from './manifests.js';
import { type Removal, removeManifests, type Victim } from './removal.js';
import { createGraphReader, type GraphReader } from './repository-graph.js';
import { step } from './step.js';

export interface CollectionRequest {
  readonly repository: DestinationRepository;
  readonly keep: number;
  readonly olderThanDays: number;
  /** The run's, RFC 3339. */
  readonly now: string;
  /** Whether to note what is superseded and does not say since when, so that its time begins. */
  readonly note: boolean;
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
}

const DAY_MS = 86_400_000;
const SCAN_PREDICATE_TYPE = 'https://houba.dev/predicate/scan/v1';

/** A signed statement about a scan is small. */
const LARGEST_BUNDLE = 4 * 1024 * 1024;

/** A thread is followed this far. */
const LONGEST_THREAD = 1_000;

/** Threads of one tag: where several tags part and meet again and again, there are more than anybody could follow. */
const MOST_THREADS = 1_000;

/**
 * Finds what newer reports and newer digests have superseded in one repository (section 8.5). Nothing without houba's stamp
 * is part of a thread, and nothing is collected where the label prefix is empty.
 */
export function createPlanCollection(deps: Dependencies) {
  const graphs = createGraphReader(deps);
  return step(async (request: CollectionRequest, { signal, progress }): Promise<Collection> => {
    const { repository, keep, olderThanDays, now } = request;
    const nothing: Collection = { outcomes: [], scans: [], manifests: [], kept: [] };
    if (deps.settings.prefix === '') return nothing;
    const [graceMs, nowMs] = [olderThanDays * DAY_MS, Date.parse(now)];
    const { tags } = await graphs.tags(repository, signal);
    const heads = [...new Set(tags.values())];
    progress({ repository: formatRepository(repository), tags: tags.size });
    const scans = await findScans(deps, repository, heads, { keep, graceMs, nowMs }, signal);
    const threads = await findThreads(deps, graphs, repository, heads, signal);
    const links = [...new Set(threads.flatMap((thread) => thread.slice(1).map(({ digest }) => digest)))];
    if (links.length === 0) return { ...nothing, ...scans };
    const graph = await graphs.read(repository, links, heads, signal);
    const { collected, unnoted } = supersededManifests(graph, threads, graceMs, nowMs);
    if (request.note) await noteSuperseded(deps, repository, unnoted, nowMs, signal);
    const going = new Set(collected);
    const kept = links.filter((digest) => !going.has(digest));
    const outcome: GcOutcome = {
      kind: 'superseded',
      image_ref: formatRepository(repository),
      ...{ kept: kept.length, collected, applied: false, error: null },
    };
    const outcomes = collected.length === 0 ? scans.outcomes : [...scans.outcomes, outcome];
    return { outcomes, scans: scans.scans, manifests: collected, kept };
  });
}

/** Deletes what was planned and is still not needed by any tag. May run twice. */
export function createCollect(deps: Dependencies) {
  const graphs = createGraphReader(deps);
  return step(
    async ({ repository, planned }: { repository: DestinationRepository; planned: Collection }, { signal }) => {
      const busy = await deps.whoIsAtWork('', repository);
      if (busy !== null) throw new HoubaError('Interrupted', `${busy} is at work in ${formatRepository(repository)}`);
      const scans = await removeManifests(deps, repository, planned.scans, signal);
      const shown = await graphs.tags(repository, signal);
      const kept = [...shown.tags.values(), ...planned.kept];
      const graph: ManifestGraph = await graphs.read(repository, planned.manifests, kept, signal);
      const unneeded = unneededManifests(graph, planned.manifests, kept, 'cut');
      const victims = unneeded.map((digest) => victimOf(digest, graph.get(digest)?.subject ?? null));
      const rest = await removeManifests(deps, repository, victims, signal);
      deps.journal.event('collected', {
        dest: formatRepository(repository),
        ...{ scans: planned.scans.length, manifests: unneeded.length },
      });
      const removal: Removal = { leftBehind: [...scans.leftBehind, ...rest.leftBehind] };
      return removal;
    },
  );
}

function victimOf(digest: Digest, subject: Digest | null): Victim {
  return subject === null ? { digest } : { digest, subject };
}

interface Limits {
  readonly keep: number;
  readonly graceMs: number;
  readonly nowMs: number;
}

/** The superseded reports of each image that a tag shows, and of its platforms. */
async function findScans(
  deps: Dependencies,
  repository: Repository,
  heads: readonly Digest[],
  { keep, graceMs, nowMs }: Limits,
  signal: AbortSignal,
): Promise<Pick<Collection, 'outcomes' | 'scans'>> {
  const outcomes: GcOutcome[] = [];
  const scans: Victim[] = [];
  const seen = new Set(heads);
  // A set that grows while it is walked is walked to its end.
  for (const digest of seen) {
    // A platform that an index names need not be there.
    const raw = await deps.reader.getManifest(repository, digest, signal);
    if (raw === null) continue;
    const manifest = parseManifest(raw.bytes, raw.mediaType);
    if (manifest.kind === 'index') for (const child of manifest.manifests) seen.add(child.digest);
    const referrers = await deps.reader.listReferrers(repository, digest, {}, signal);
    const reports = readScanReports(referrers, deps.settings.prefix);
    if (reports.length <= keep) continue;
    const signed: SignedScan[] = [];
    const wanted = new Set([SCAN_PREDICATE_TYPE]);
    const names = await reportNames(deps, repository, reports, signal);
    for await (const bundle of readBundles(deps.reader, repository, referrers, wanted, LARGEST_BUNDLE, signal)) {
      const said = 'bytes' in bundle.content ? readScanPredicate(bundle.content.bytes) : NOTHING_SAID;
      const report = said.report === null ? null : (names.get(said.report) ?? null);
      signed.push({ digest: bundle.referrer, report, attestedAt: said.attestedAt });
    }
    const collected = supersededScans(reports, signed, keep, graceMs, nowMs);
    if (collected.length === 0) continue;
    scans.push(...collected.map((scan) => ({ digest: scan, subject: digest })));
    const left = reports.filter((report) => !collected.includes(report.digest)).length;
    const image = formatPinned(repository, digest);
    outcomes.push({ kind: 'scans', image_ref: image, kept: left, collected, applied: false, error: null });
  }
  return { outcomes, scans };
}

/** Statements name a report by its referrer, or by its document. */
async function reportNames(
  { reader }: Dependencies,
  repository: Repository,
  reports: readonly ScanReport[],
  signal: AbortSignal,
): Promise<Map<string, Digest>> {
  const names = new Map<string, Digest>();
  for (const { digest } of reports) {
    const { manifest } = await readManifest(reader, repository, digest, signal);
    if (manifest.kind === 'image') for (const layer of manifest.layers) names.set(layer.digest, digest);
    names.set(digest, digest);
  }
  return names;
}

const NOTHING_SAID = { report: null, attestedAt: null };

/** What a signed scan says; not verified: it decides only what is kept. */
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
    const paths = threadsFrom(graph, head);
    for (const path of paths) {
      const isAlone = path.length === 1;
      const only = { digest: head, created: null, notedAt: null };
      threads.push(isAlone ? [only] : untilGone(await Promise.all(path.map(linkOf))));
    }
  }
  return threads;
}

/** The graph remembers manifests that an earlier collection has deleted. */
function untilGone(links: readonly (ThreadLink | null)[]): ThreadLink[] {
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
  return { digest, created: stamp?.created ?? null, notedAt: notedAt(referrers, prefix) };
}

async function noteSuperseded(
  { regctl, settings }: Dependencies,
  repository: Repository,
  digests: readonly Digest[],
  nowMs: number,
  signal: AbortSignal,
): Promise<void> {
  for (const digest of digests) {
    const annotations = supersededNote(settings.prefix, nowMs);
    await regctl.putArtifact(repository, digest, { artifactType: MARK_ARTIFACT_TYPE, annotations }, signal);
  }
}
