import type { Digest } from '../../domain/digest.js';
import { DAY_MS } from '../../domain/duration.js';
import { HoubaError } from '../../domain/errors.js';
import {
  type Superseded,
  type SupersededManifests,
  supersededManifests,
  supersededNote,
  type ThreadLink,
} from '../../domain/lifecycle/collect.js';
import { type ManifestGraph, neededManifests, unneededManifests } from '../../domain/lifecycle/manifest-graph.js';
import { MARK_ARTIFACT_TYPE } from '../../domain/lifecycle/mark.js';
import { formatRepository, type Repository } from '../../domain/reference.js';
import type { GcOutcome } from '../../domain/report/collect-report.js';
import type { DestinationRepository } from '../../domain/roster.js';
import { askAboutPlaced } from '../deletion/ask-oracle.js';
import { dropEvidenceTags } from '../deletion/delete-tags.js';
import { createGraphReader } from '../deletion/manifest-graph.js';
import { type Removal, removeManifests, type Victim } from '../deletion/remove-manifests.js';
import { readShown } from '../deletion/shown-tags.js';
import type { Dependencies } from '../dependencies.js';
import { attachReferrer } from '../repository/attach-referrer.js';
import { type RepositoryAt, repositoryAt } from '../repository/repository-at.js';
import { type StepContext, step } from '../step.js';
import { type Collection, findScans } from './superseded-scans.js';
import { findThreads } from './superseded-threads.js';

export interface CollectionRequest {
  readonly repository: DestinationRepository;
  readonly keep: number;
  readonly olderThanDays: number;
  /** The time of the run, RFC 3339. */
  readonly now: string;
  /** Whether the findings will be deleted: then they come in parts, and superseded digests without a note get one. */
  readonly apply: boolean;
}

/** Most superseded digests collected in one pass: workflow histories carry their lists. */
const MOST_LINKS = 200;
/**
 * Finds superseded scan reports and digests of a repository (docs/rules/collect.md#what-is-needed-or-used-stays);
 * nothing where the prefix is empty. @throws HoubaError `ConfigInvalid` when signatures cannot be verified, and what
 * reading a registry throws
 */
export function createPlanCollection(deps: Dependencies) {
  const graphs = createGraphReader(deps);
  return step(async (request: CollectionRequest, context): Promise<Collection> => {
    const { repository, keep, olderThanDays, now, apply } = request;
    const { signal } = context;
    const nothing: Collection = { outcomes: [], scans: [], manifests: [], kept: [], more: false };
    if (deps.settings.prefix === '') return nothing;
    const [graceMs, nowMs] = [olderThanDays * DAY_MS, Date.parse(now)];
    const at = repositoryAt(deps, repository, signal);
    const { tags } = await graphs.tags(repository, signal);
    const heads = [...new Set(tags.values())];
    context.progress({ repository: formatRepository(repository), tags: tags.size });
    const scans = await findScans(deps, at, heads, { keep, graceMs, nowMs, apply });
    const threads = await findThreads(graphs, at, heads);
    const links = [...new Set(threads.flatMap((thread) => thread.slice(1).map(({ digest }) => digest)))];
    if (links.length === 0) return { ...nothing, ...scans };
    const graph = await graphs.read(repository, links, heads, signal);
    const most = apply ? MOST_LINKS : Number.POSITIVE_INFINITY;
    const find = (inUse: ReadonlySet<Digest>) =>
      supersededManifests(graph, threads.map(staying(inUse)), graceMs, nowMs, most);
    const { collected, unnoted, more } = await unlessInUse(deps, { repository, graph, graceMs }, find, context);
    if (apply) await noteSuperseded(deps, at, unnoted, nowMs);
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

/** Deletes the planned manifests that no tag needs at this moment. May run twice. */
export function createCollect(deps: Dependencies) {
  const graphs = createGraphReader(deps);
  return step(
    async ({ repository, planned }: { repository: DestinationRepository; planned: Collection }, { signal }) => {
      // Checked before the deletion is announced, which makes every concurrent placement start over.
      await refuseBusy(deps, repository);
      return deps.deletions.during(repository, async () => {
        const at = repositoryAt(deps, repository, signal);
        const scans = await removeInPeace(deps, repository, planned.scans, signal);
        const question = { doomed: new Set<string>(), unwanted: planned.manifests, alsoKept: planned.kept };
        const { shown, graph, kept } = await readShown({ deps, graphs }, at, question);
        const unneeded = unneededManifests(graph, planned.manifests, kept, 'cut');
        const victims = unneeded.map((digest) => victimOf(digest, graph.get(digest)?.subject ?? null));
        const leftBehind = [...scans, ...(await removeInPeace(deps, repository, victims, signal))];
        const needed = neededManifests(graph, kept, 'cut');
        const isGone = (digest: Digest) =>
          graph.has(digest) ? unneeded.includes(digest) && !leftBehind.includes(digest) : !needed.has(digest);
        await dropEvidenceTags({ deps, graphs }, at, shown, new Set(planned.manifests.filter(isGone)));
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
 * Deletes manifests while nobody places an image (docs/rules/collect.md#collecting-waits-for-placements). @returns
 * those the registry keeps. @throws HoubaError `Interrupted` when a placement or a run writes to the repository
 */
async function removeInPeace(
  deps: Dependencies,
  repository: Repository,
  victims: readonly Victim[],
  signal: AbortSignal,
): Promise<readonly Digest[]> {
  const { leftBehind } = await removeManifests(deps, repository, victims, signal, () => refuseBusy(deps, repository));
  return leftBehind;
}

async function refuseBusy(deps: Dependencies, repository: Repository): Promise<void> {
  const busy = await deps.whoIsAtWork('', repository);
  if (busy === null) return;
  throw new HoubaError('Interrupted', `${busy} is at work in ${formatRepository(repository)}`, {
    hint: 'nothing is deleted before it has ended; then this goes on by itself',
  });
}

interface SupersededIn {
  readonly repository: DestinationRepository;
  readonly graph: ManifestGraph;
  readonly graceMs: number;
}

/** Finds superseded digests, without those that an oracle keeps (docs/rules/purge.md#unknown-use-is-in-use). */
async function unlessInUse(
  deps: Dependencies,
  { repository, graph, graceMs }: SupersededIn,
  find: (inUse: ReadonlySet<Digest>) => SupersededManifests,
  context: StepContext,
): Promise<SupersededManifests> {
  const inUse = new Set<Digest>();
  const asked = new Set<Digest>();
  for (;;) {
    const found = find(inUse);
    const unasked = deps.hasOracle ? found.links.filter((digest) => !asked.has(digest)) : [];
    if (unasked.length === 0) return found;
    for (const digest of unasked) {
      const { kind, detail } = await askAboutPlaced(deps, { repository, digest, graph, windowMs: graceMs }, context);
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

async function noteSuperseded(
  deps: Dependencies,
  at: RepositoryAt,
  unnoted: readonly Superseded[],
  nowMs: number,
): Promise<void> {
  for (const { digest, by } of unnoted) {
    const annotations = supersededNote(at.prefix, by, nowMs);
    await attachReferrer(deps, at, digest, { artifactType: MARK_ARTIFACT_TYPE, annotations });
  }
}
