import type { ReferrerDescriptor } from '../../adapters/registry.js';
import type { Digest } from '../../domain/digest.js';
import { isRetried } from '../../domain/durable/retry.js';
import { HoubaError, type ReportedError, reportError } from '../../domain/errors.js';
import { unneededManifests } from '../../domain/lifecycle/manifest-graph.js';
import { isRestored, readMarks } from '../../domain/lifecycle/mark.js';
import { parseManifest } from '../../domain/manifest.js';
import { formatTagged, type Repository } from '../../domain/reference.js';
import type { OperationLine } from '../../domain/report/run/journal.js';
import type { DestinationRepository } from '../../domain/roster.js';
import { readStamp, readStampBeside, stampsBeside } from '../../domain/stamp/annotations.js';
import type { Dependencies } from '../dependencies.js';
import { type StepContext, step } from '../step.js';
import { createGraphReader, type GraphReader, type RepositoryTags } from './manifest-graph.js';
import { removeManifests, type Victim } from './remove-manifests.js';
import { isPlaceholder, removeTag } from './remove-tag.js';

/** A tag that is to go while it shows this digest. */
export interface DoomedTag {
  readonly tag: string;
  readonly digest: Digest;
  /** How the journal tells of it. */
  readonly journal: Partial<OperationLine>;
}

export interface DeletionRequest {
  readonly destination: DestinationRepository;
  /** Only what this policy stamped is deleted. */
  readonly policy: string;
  /** A few: each step looks at the whole repository once. */
  readonly tags: readonly DoomedTag[];
}

/**
 * What may go with some tags: all that they lead to, for who else needs it now may be deleted at the same time. Whoever
 * deletes keeps it until all is gone: without the tags nobody finds it any more.
 */
export interface DeletionList {
  /** In the order of deletion. */
  readonly manifests: readonly Digest[];
  /** Tags that need some of them. What they need goes only when they are gone, whatever a list of tags says by then. */
  readonly witnesses?: readonly string[];
}

export interface DeletionOutcome {
  readonly tag: string;
  /** Whether the tag is gone, now or since an earlier attempt. */
  readonly deleted: boolean;
  /** Why it stays, where that is no failure; null: it is gone, or see `error`. */
  readonly kept: string | null;
  readonly error: ReportedError | null;
}

export interface DeletionResult {
  /** In the order of the request. */
  readonly outcomes: readonly DeletionOutcome[];
  /** What the registry does not delete. */
  readonly leftBehind: readonly Digest[];
}

/** A history has to hold them. */
const MOST_WITNESSES = 200;

/** The two steps of a deletion: what will go, and its going. Both may run twice. */
export interface TagDeleter {
  inspect(request: DeletionRequest, context: StepContext): Promise<DeletionList>;
  delete(request: DeletionRequest & { readonly list: DeletionList }, context: StepContext): Promise<DeletionResult>;
}

/** Reads what some tags need: manifests, evidence, originals, and what they superseded. Nothing may be unreadable. */
export function createInspectDeletion(deps: Dependencies) {
  const deleter = createTagDeleter(deps);
  return step((request: DeletionRequest, context) => deleter.inspect(request, context));
}

/**
 * Deletes each tag after a last look at it, and then what nothing needs any more of the list. A tag that cannot be deleted
 * is an outcome, not a failure of the others.
 */
export function createDeleteTags(deps: Dependencies) {
  const deleter = createTagDeleter(deps);
  return step((request: DeletionRequest & { list: DeletionList }, context) => deleter.delete(request, context));
}

export function createTagDeleter(deps: Dependencies): TagDeleter {
  const graphs = createGraphReader(deps);
  return {
    async inspect({ destination, tags }, { signal }) {
      const unwanted = new Map(tags.map(({ tag, digest }) => [tag, digest]));
      const shown = await graphs.tags(destination, signal);
      for (const { tag } of tags) if (!shown.tags.has(tag)) await refuseUnlisted(deps, destination, tag, signal);
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
        const isBegun = () => outcomes.some(({ deleted }) => deleted);
        try {
          for (const doomed of request.tags) {
            context.signal.throwIfAborted();
            outcomes.push(refusedBefore(outcomes, doomed) ?? (await deleteOne(deps, request, doomed, context.signal)));
            context.progress({ deleted: outcomes.length });
          }
          return { outcomes, leftBehind: isBegun() ? await deleteUnneeded(deps, graphs, request, context.signal) : [] };
        } catch (error) {
          throw isBegun() ? goOn(error) : error;
        }
      }),
  };
}

/** A list that lacks a tag may lack others, and what they need would go. */
async function refuseUnlisted(
  { reader }: Dependencies,
  destination: DestinationRepository,
  tag: string,
  signal: AbortSignal,
): Promise<void> {
  if ((await reader.headManifest(destination, tag, signal)) === null) return;
  const name = formatTagged(destination, tag);
  throw new HoubaError('RegistryUnavailable', `${name} is there, but the registry does not list it`, {
    hint: 'nothing is deleted while nobody can tell what other tags there are',
  });
}

/** Once a tag is gone there is only forward: what may pass is waited for longer than elsewhere. */
function goOn(error: unknown): unknown {
  if (!(error instanceof HoubaError) || !isRetried(error.code)) return error;
  return new HoubaError('Interrupted', error.message, { cause: error, facts: error.facts });
}

/** A registry that did not delete one tag is not asked for the others. */
function refusedBefore(outcomes: readonly DeletionOutcome[], { tag }: DoomedTag): DeletionOutcome | undefined {
  const refused = outcomes.find(({ error }) => error?.type === 'Unsupported');
  return refused && { ...refused, tag };
}

async function deleteOne(
  deps: Dependencies,
  request: DeletionRequest,
  doomed: DoomedTag,
  signal: AbortSignal,
): Promise<DeletionOutcome> {
  const { tag, journal } = doomed;
  try {
    const kept = await lookOnce(deps, request, doomed, signal);
    if (kept === 'gone') return { tag, deleted: true, kept: null, error: null };
    if (kept !== null) return { tag, deleted: false, kept, error: null };
    if (!(await removeTag(deps, request.destination, tag, doomed.digest, signal))) {
      throw new HoubaError('Unsupported', `${request.destination.host} does not delete tags`, {
        hint: 'turn deletion on in the registry and allow it to these credentials, or use deletionMode: mark',
      });
    }
    deps.journal.event('operation', { ...journal, applied: true });
    return { tag, deleted: true, kept: null, error: null };
  } catch (error) {
    signal.throwIfAborted();
    // What may pass is tried again as a whole: what is gone by then is found gone.
    if (!(error instanceof HoubaError) || isRetried(error.code)) throw error;
    return { tag, deleted: false, kept: null, error: reportError(error) };
  }
}

/** Everything that the deletion of a tag relies on, read again. @returns why it stays; null: nothing is in the way */
async function lookOnce(
  { reader, settings }: Dependencies,
  { destination, policy }: DeletionRequest,
  { tag, digest }: DoomedTag,
  signal: AbortSignal,
): Promise<string | null> {
  const name = formatTagged(destination, tag);
  // A GET, whose bytes are checked: a HEAD may come from a cache that is behind.
  const shown = await reader.getManifest(destination, tag, signal);
  if (shown === null) return 'gone';
  const manifest = parseManifest(shown.bytes, shown.mediaType);
  // An earlier attempt was interrupted between two requests.
  if (isPlaceholder(manifest, tag)) return null;
  if (shown.digest !== digest) {
    throw new HoubaError('PreconditionFailed', `${name} was moved during the run`, {
      hint: 'the next run plans anew',
    });
  }
  const referrers = await reader.listReferrers(destination, digest, {}, signal);
  const { prefix } = settings;
  const stamp = readStamp(manifest.annotations, prefix) ?? readStampBeside(referrers, tag, prefix);
  if (stamp === null || (prefix !== '' && stamp.policy !== policy)) {
    throw new HoubaError('PreconditionFailed', `${name} does not carry the stamp of policy ${policy}`);
  }
  return isRestored(readMarks(digest, referrers, prefix), tag) ? 'somebody restored it' : null;
}

/**
 * Deletes what of the list no tag needs now, and what speaks of the deleted tags on what stays.
 *
 * @returns what the registry keeps
 */
async function deleteUnneeded(
  deps: Dependencies,
  graphs: GraphReader,
  { destination, tags, list }: DeletionRequest & { readonly list: DeletionList },
  signal: AbortSignal,
): Promise<readonly Digest[]> {
  const shown = await graphs.tags(destination, signal);
  const doomed = new Set(tags.map(({ tag }) => tag));
  for (const tag of list.witnesses ?? []) {
    if (!shown.tags.has(tag) && !doomed.has(tag)) await refuseUnlisted(deps, destination, tag, signal);
  }
  const kept = [...shown.tags.values()];
  const graph = await graphs.read(destination, list.manifests, kept, signal);
  const unneeded = unneededManifests(graph, list.manifests, kept);
  const going = new Set([...unneeded, ...list.manifests.filter((digest) => !graph.has(digest))]);
  const victims = unneeded.map((digest): Victim => {
    const subject = graph.get(digest)?.subject ?? null;
    return subject === null ? { digest } : { digest, subject };
  });
  const { leftBehind } = await removeManifests(deps, destination, victims, signal);
  await dropEvidenceTags(deps, graphs, destination, shown, going, signal);
  for (const { tag, digest } of tags) {
    if (!shown.tags.has(tag) && !going.has(digest)) await forgetTag(deps, destination, tag, digest, signal);
  }
  return leftBehind;
}

/** What upstream, or a client without the referrers API, keeps of a digest by name (`sha256-<hex>.sig`). */
export async function dropEvidenceTags(
  deps: Dependencies,
  graphs: GraphReader,
  destination: Repository,
  { tags, evidence }: RepositoryTags,
  gone: ReadonlySet<Digest>,
  signal: AbortSignal,
): Promise<void> {
  const names = new Set([...gone].map((digest) => digest.replace(':', '-')));
  const doomed = evidence.filter((tag) => names.has(tag.replace(/\.[a-z]+$/, '')));
  for (const tag of doomed) {
    // The last referrer takes its list along.
    const head = await deps.reader.headManifest(destination, tag, signal);
    if (head === null) continue;
    if (!(await removeTag(deps, destination, tag, head.digest, signal))) continue;
    // Whoever made the tag chose what it shows: it may be part of an image that stays.
    const kept = [...tags.values()];
    const graph = await graphs.read(destination, [head.digest], kept, signal);
    if (!unneededManifests(graph, [head.digest], kept).includes(head.digest)) continue;
    await deps.regctl.deleteManifest(destination, head.digest, signal);
  }
}

/** Marks and stamps of a deleted tag, on an image that another tag shows. */
async function forgetTag(
  deps: Dependencies,
  destination: DestinationRepository,
  tag: string,
  digest: Digest,
  signal: AbortSignal,
): Promise<void> {
  const { prefix } = deps.settings;
  const referrers: readonly ReferrerDescriptor[] = await deps.reader.listReferrers(destination, digest, {}, signal);
  const marks = readMarks(digest, referrers, prefix);
  const stamps = stampsBeside(referrers, prefix).filter((stamp) => stamp.tag === tag);
  const own = [
    ...marks.filter(({ mark }) => mark.tag === tag).map(({ referrer }) => referrer),
    ...stamps.map(({ referrer }) => referrer.digest),
  ];
  await removeManifests(
    deps,
    destination,
    own.map((referrer) => ({ digest: referrer, subject: digest })),
    signal,
  );
  const known = deps.memory.facts(destination, digest);
  if (known === undefined) return;
  deps.memory.rememberFacts(destination, digest, {
    ...known,
    stampsBeside: known.stampsBeside.filter((stamp) => stamp.tag !== tag),
    marks: marks.filter(({ mark }) => mark.tag !== tag),
    marksAt: Date.now(),
  });
}
