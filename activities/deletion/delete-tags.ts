import type { Digest } from '../../domain/digest.js';
import { isRetried } from '../../domain/durable/retry.js';
import { HoubaError, type ReportedError, reportError } from '../../domain/errors.js';
import { neededManifests, unneededManifests } from '../../domain/lifecycle/manifest-graph.js';
import { isRestored, readMarks } from '../../domain/lifecycle/mark.js';
import { formatRepository, formatTagged } from '../../domain/reference.js';
import type { OperationLine } from '../../domain/report/run/journal.js';
import type { DestinationRepository } from '../../domain/roster.js';
import type { RecordedStamp } from '../../domain/stamp/annotations.js';
import { stampOf, stampsBeside } from '../../domain/stamp/stamp-of.js';
import type { Dependencies, PlacedTag } from '../dependencies.js';
import { readBack } from '../repository/read-back.js';
import { confirmAbsent, type RepositoryAt, repositoryAt } from '../repository/repository-at.js';
import { type StepContext, step } from '../step.js';
import { createGraphReader, type GraphReader, type RepositoryTags } from './manifest-graph.js';
import { removeManifests, type Victim } from './remove-manifests.js';
import { isPlaceholder, removeTag } from './remove-tag.js';
import { type RecentTag, readShown, recentlyPlaced, rememberGone } from './shown-tags.js';

/** A tag that is deleted only while it shows this digest. */
interface DoomedTag {
  readonly tag: string;
  readonly digest: Digest;
  readonly journal: Partial<OperationLine>;
}

export interface DeletionRequest {
  readonly destination: DestinationRepository;
  /** Only tags stamped by this policy are deleted. */
  readonly policy: string;
  /** A few tags: each step walks the whole repository once. */
  readonly tags: readonly DoomedTag[];
}

/** Manifests that may go with some tags, listed first (docs/rules/purge.md#a-deletion-that-has-begun-is-ended). */
export interface DeletionList {
  readonly manifests: readonly Digest[];
  /** Other tags that need some of the manifests: before any is deleted, the registry must list each, or it is gone. */
  readonly witnesses?: readonly string[];
}

export interface DeletionOutcome {
  readonly tag: string;
  /** Whether the tag is gone, now or since an earlier attempt. */
  readonly deleted: boolean;
  /** Why the tag stays although nothing failed; null: it is gone, or `error` says why. */
  readonly kept: string | null;
  readonly error: ReportedError | null;
}

export interface DeletionResult {
  readonly outcomes: readonly DeletionOutcome[];
  /** Digests that the registry does not delete. */
  readonly leftBehind: readonly Digest[];
}

/** The limit keeps the list of tags small enough for a workflow history. */
const MOST_WITNESSES = 200;

interface TagDeleter {
  inspect(request: DeletionRequest, context: StepContext): Promise<DeletionList>;
  delete(request: DeletionRequest & { readonly list: DeletionList }, context: StepContext): Promise<DeletionResult>;
}

/** Lists the manifests, evidence, originals and superseded digests that may go with some tags. */
export function createInspectDeletion(deps: Dependencies) {
  const deleter = createTagDeleter(deps);
  return step((request: DeletionRequest, context) => deleter.inspect(request, context));
}

/** Deletes tags and what nothing needs any more. A tag that cannot be deleted is an outcome and stops no other. */
export function createDeleteTags(deps: Dependencies) {
  const deleter = createTagDeleter(deps);
  return step((request: DeletionRequest & { list: DeletionList }, context) => deleter.delete(request, context));
}

export function createTagDeleter(deps: Dependencies): TagDeleter {
  const graphs = createGraphReader(deps);
  return {
    async inspect({ destination, tags }, { signal }) {
      const at = repositoryAt(deps, destination, signal);
      const unwanted = new Map(tags.map(({ tag, digest }) => [tag, digest]));
      const shown = await graphs.tags(destination, signal);
      for (const { tag } of tags) if (!shown.tags.has(tag)) await refuseUnlisted(at, tag);
      const others = [...shown.tags].filter(([tag, digest]) => unwanted.get(tag) !== digest);
      const kept = others.map(([, digest]) => digest);
      const graph = await graphs.read(destination, unwanted.values(), kept, signal);
      const manifests = unneededManifests(graph, unwanted.values(), []);
      const needsSome = ([, digest]: readonly [string, Digest]) =>
        unneededManifests(graph, unwanted.values(), [digest]).length < manifests.length;
      const isShared = unneededManifests(graph, unwanted.values(), kept).length < manifests.length;
      const witnesses = isShared ? others.filter(needsSome).map(([tag]) => tag) : [];
      return { manifests, witnesses: witnesses.slice(0, MOST_WITNESSES) };
    },

    delete: (request, context) =>
      deps.deletions.during(request.destination, async () => {
        const outcomes: DeletionOutcome[] = [];
        // A registry that did not delete one tag is not asked for the others.
        let refuses = false;
        const isBegun = () => outcomes.some(({ deleted }) => deleted);
        try {
          const at = repositoryAt(deps, request.destination, context.signal);
          const placed = await recentlyPlaced(deps, at);
          for (const doomed of request.tags) {
            context.signal.throwIfAborted();
            const last = placed.find(({ tag }) => tag === doomed.tag) ?? null;
            const outcome: DeletionOutcome | null = refuses
              ? null
              : await deleteOne(deps, at, { ...doomed, policy: request.policy, last });
            refuses = outcome === null;
            outcomes.push(outcome ?? refusedBy(request.destination, doomed));
            context.progress({ deleted: outcomes.length });
          }
          return { outcomes, leftBehind: isBegun() ? await deleteUnneeded(deps, graphs, request, context.signal) : [] };
        } catch (error) {
          throw isBegun() ? goOn(error) : error;
        }
      }),
  };
}

/** Refuses a tag that the registry serves and does not list (docs/rules/purge.md#an-unlisted-tag-stops-a-deletion). */
async function refuseUnlisted(at: RepositoryAt, tag: string): Promise<void> {
  if ((await at.find(tag)) === null) return;
  const name = formatTagged(at.repository, tag);
  throw new HoubaError('RegistryUnavailable', `${name} is there, but the registry does not list it`, {
    hint: 'nothing is deleted while nobody can tell what other tags there are',
  });
}

/** Turns a transient error into `Interrupted`, which is retried longer: once a tag is gone, the deletion must end. */
function goOn(error: unknown): unknown {
  if (!(error instanceof HoubaError) || !isRetried(error.code)) return error;
  return new HoubaError('Interrupted', error.message, { cause: error, facts: error.facts });
}

function refusedBy({ host }: DestinationRepository, { tag }: DoomedTag): DeletionOutcome {
  const error = new HoubaError('Unsupported', `${host} does not delete tags`, {
    hint: 'turn deletion on in the registry and allow it to these credentials, or use deletionMode: mark',
  });
  return { tag, deleted: false, kept: null, error: reportError(error) };
}

interface Doomed extends DoomedTag {
  readonly policy: string;
  /** The tag's last placement, if it ended so recently that a read may show what was before. */
  readonly last: RecentTag | null;
}

/** Deletes one tag. @returns null: the registry does not delete tags */
async function deleteOne(deps: Dependencies, at: RepositoryAt, doomed: Doomed): Promise<DeletionOutcome | null> {
  const { tag, journal } = doomed;
  try {
    const kept = await lookOnce(at, doomed);
    if (kept === 'gone') return { tag, deleted: true, kept: null, error: null };
    if (kept !== null) return { tag, deleted: false, kept, error: null };
    if (!(await removeTag(deps, at, tag, doomed.digest))) return null;
    rememberGone(deps, at, tag);
    deps.journal.event('operation', { ...journal, applied: true });
    return { tag, deleted: true, kept: null, error: null };
  } catch (error) {
    at.signal.throwIfAborted();
    // A transient error fails the whole step; the retry finds what is gone by then.
    if (!(error instanceof HoubaError) || isRetried(error.code)) throw error;
    return { tag, deleted: false, kept: null, error: reportError(error) };
  }
}

/**
 * Reads a tag again before its deletion (docs/rules/purge.md#the-last-look), for a while if its last placement is not seen
 * yet. @returns why it stays; null: it may go
 */
async function lookOnce(at: RepositoryAt, { tag, digest, policy, last }: Doomed): Promise<string | null> {
  const name = formatTagged(at.repository, tag);
  const { prefix } = at;
  const look = async () => {
    // GET, because its bytes are hashed: a HEAD may come from a stale cache.
    const shown = await at.findManifest(tag);
    if (shown === null) return null;
    const referrers = await at.referrers(shown.raw.digest);
    return { ...shown, referrers, stamp: stampOf(shown.manifest, referrers, tag, prefix) };
  };
  const showsLast = (found: Awaited<ReturnType<typeof look>>) =>
    last === null || (found !== null && (isPlaceholder(found.manifest, tag) || isStampOf(found.stamp, last, prefix)));
  const patienceMs = last === null ? 0 : last.staleUntil - performance.now();
  const shown = await readBack(look, showsLast, patienceMs, at.signal);
  if (shown === null) {
    await confirmAbsent(at, tag);
    return 'gone';
  }
  const { raw, manifest, referrers, stamp } = shown;
  // An earlier attempt was interrupted after it had moved the tag to the placeholder.
  if (isPlaceholder(manifest, tag)) return null;
  if (raw.digest !== digest) {
    throw new HoubaError('PreconditionFailed', `${name} was moved during the run`, {
      hint: 'the next run plans anew',
    });
  }
  if (stamp === null || (prefix !== '' && stamp.policy !== policy)) {
    throw new HoubaError('PreconditionFailed', `${name} does not carry the stamp of policy ${policy}`);
  }
  return isRestored(readMarks(digest, referrers, prefix), tag) ? 'somebody restored it' : null;
}

function isStampOf(stamp: RecordedStamp | null, { baseDigest, policy }: PlacedTag, prefix: string): boolean {
  return stamp?.baseDigest === baseDigest && (prefix === '' || stamp.policy === policy);
}

/** Deletes listed manifests that no tag needs, and the tags' marks and stamps. @returns what the registry keeps */
async function deleteUnneeded(
  deps: Dependencies,
  graphs: GraphReader,
  { destination, tags, list }: DeletionRequest & { readonly list: DeletionList },
  signal: AbortSignal,
): Promise<readonly Digest[]> {
  const at = repositoryAt(deps, destination, signal);
  const doomed = new Set(tags.map(({ tag }) => tag));
  const { shown, graph, kept } = await readShown({ deps, graphs }, at, { doomed, unwanted: list.manifests });
  for (const tag of list.witnesses ?? []) {
    if (!shown.tags.has(tag) && !doomed.has(tag)) await refuseUnlisted(at, tag);
  }
  const unneeded = unneededManifests(graph, list.manifests, kept);
  const needed = neededManifests(graph, kept);
  const isGone = (digest: Digest) => !graph.has(digest) && !needed.has(digest);
  const going = new Set([...unneeded, ...list.manifests.filter(isGone)]);
  const victims = unneeded.map((digest): Victim => {
    const subject = graph.get(digest)?.subject ?? null;
    return subject === null ? { digest } : { digest, subject };
  });
  const { leftBehind } = await removeManifests(deps, destination, victims, signal);
  await dropEvidenceTags({ deps, graphs }, at, shown, going);
  for (const { tag, digest } of tags) {
    if (!shown.tags.has(tag) && !going.has(digest)) await forgetTag(deps, at, tag, digest);
  }
  return leftBehind;
}

/** Deletes the evidence tags, `sha256-<hex>` alone or with a suffix, of digests that are gone. */
export async function dropEvidenceTags(
  { deps, graphs }: { readonly deps: Dependencies; readonly graphs: GraphReader },
  at: RepositoryAt,
  { tags, evidence }: RepositoryTags,
  gone: ReadonlySet<Digest>,
): Promise<void> {
  const { repository, signal } = at;
  const names = new Set([...gone].map((digest) => digest.replace(':', '-')));
  const doomed = evidence.filter((tag) => names.has(tag.replace(/\.[a-z]+$/, '')));
  for (const tag of doomed) {
    // A registry may have deleted the tag with its last referrer.
    const shown = await at.head(tag);
    if (shown === null) continue;
    if (!(await removeTag(deps, at, tag, shown))) {
      deps.journal.event('left.behind', { dest: formatRepository(repository), digests: [shown] });
      return;
    }
    // Anybody can write such a tag: it may show a part of an image that stays.
    const kept = [...tags.values()];
    const graph = await graphs.read(repository, [shown], kept, signal);
    if (!unneededManifests(graph, [shown], kept).includes(shown)) continue;
    await removeManifests(deps, repository, [{ digest: shown }], signal);
  }
}

/** Deletes marks and stamps of a deleted tag from an image that another tag shows. */
async function forgetTag(deps: Dependencies, at: RepositoryAt, tag: string, digest: Digest): Promise<void> {
  const { repository, prefix, signal } = at;
  const referrers = await at.referrers(digest);
  const marks = readMarks(digest, referrers, prefix);
  const stamps = stampsBeside(referrers, prefix).filter((stamp) => stamp.tag === tag);
  const own = [
    ...marks.filter(({ mark }) => mark.tag === tag).map(({ referrer }) => referrer),
    ...stamps.map(({ referrer }) => referrer.digest),
  ];
  await removeManifests(
    deps,
    repository,
    own.map((referrer) => ({ digest: referrer, subject: digest })),
    signal,
  );
  const known = deps.memory.facts(repository, digest);
  if (known === undefined) return;
  deps.memory.rememberFacts(repository, digest, {
    ...known,
    stampsBeside: known.stampsBeside.filter((stamp) => stamp.tag !== tag),
    marks: marks.filter(({ mark }) => mark.tag !== tag),
    marksAt: Date.now(),
  });
}
