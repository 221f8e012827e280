import pLimit from 'p-limit';
import type { Digest } from '../../domain/digest.js';
import { failedOutcome, type MarkedTag, outcomeOf, type SweepCursor } from '../../domain/durable/retire.js';
import { HoubaError, type ReportedError, reportError } from '../../domain/errors.js';
import { type PlacedMark, readMarks } from '../../domain/lifecycle/mark.js';
import type { DestinationRepository } from '../../domain/plan/work.js';
import { isEvidenceTag, isTag, type Repository } from '../../domain/reference.js';
import type { PurgeOutcome } from '../../domain/report/purge-report.js';
import { type RosterEntry, rosterByName } from '../../domain/roster.js';
import { compareText } from '../../domain/selection/version.js';
import type { Dependencies } from '../dependencies.js';
import { type StepContext, step } from '../step.js';
import { findRepositories, isInside, parseName } from './find-repositories.js';

export interface SweepRequest {
  /** A name of the roster; null: all. */
  readonly registry: string | null;
  /** `host/path`: look at these alone; null: at all there are. */
  readonly repositories: readonly string[] | null;
  readonly apply: boolean;
  /** Whether it will ask who uses what it finds. */
  readonly asks: boolean;
}

export interface OpenedSweep {
  readonly mode: 'apply' | 'dry-run';
  /** Names of the roster, each place once. */
  readonly registries: readonly string[];
  readonly concurrency: number;
}

/**
 * Checks what a sweep needs before anything is read: the registry's name and, where it asks, the idle window and the
 * oracle. `HOUBA_DRY_RUN_DELETIONS` wins over everything.
 *
 * Throws `ConfigInvalid`.
 */
export function createOpenSweep(deps: Dependencies) {
  return step(async ({ registry, repositories, apply, asks }: SweepRequest): Promise<OpenedSweep> => {
    const { settings } = deps;
    if (asks) {
      purgeWindow(deps);
      deps.openOracle();
    }
    const entries = placesOf(deps, registry === null ? null : [registry], repositories);
    return {
      mode: apply && !settings.dryRunDeletions ? 'apply' : 'dry-run',
      registries: entries.map(({ name }) => name),
      concurrency: settings.maxConcurrency,
    };
  });
}

/**
 * The entries of the roster that a sweep walks through, each place once.
 *
 * @param names null: all
 * @param repositories `host/path`: each must be in one of them; null: all there are
 * @throws HoubaError `ConfigInvalid`
 */
export function placesOf(
  { roster }: Dependencies,
  names: readonly string[] | null,
  repositories: readonly string[] | null,
): RosterEntry[] {
  const entries = names === null ? [...roster.values()] : names.map((name) => rosterByName(roster, name));
  if (entries.length === 0) {
    throw new HoubaError('ConfigInvalid', 'there is no registry to look at', { hint: 'set HOUBA_REGISTRIES' });
  }
  for (const name of repositories ?? []) {
    if (entries.some((entry) => isInside(entry, parseName(name)))) continue;
    throw new HoubaError('ConfigInvalid', `${name} is in no registry of this run`, {
      hint: 'name host and path, as in registry.example/team/app, of a registry in HOUBA_REGISTRIES',
    });
  }
  return [...new Map(entries.map((entry) => [`${entry.host}/${entry.namespace ?? ''}`, entry])).values()];
}

/** @throws HoubaError `ConfigInvalid` when no idle window is set: there is no default on purpose */
export function purgeWindow({ settings }: Dependencies): number {
  if (settings.purgeMinIdleMs !== null && settings.purgeMinIdleMs > 0) return settings.purgeMinIdleMs;
  throw new HoubaError('ConfigInvalid', 'purge needs to know how long a tag must be unused', {
    hint: 'set HOUBA_PURGE_MIN_IDLE, as in 30d',
  });
}

export interface FindRequest {
  readonly registries: readonly string[];
  /** `host/path`: these alone; null: all there are. */
  readonly repositories: readonly string[] | null;
  /** null: from the beginning. */
  readonly cursor: SweepCursor | null;
}

export interface MarksPage {
  readonly found: readonly MarkedTag[];
  /** What needs no further look: marks that never purge, and what could not be read. */
  readonly settled: readonly PurgeOutcome[];
  /** null: that was all. */
  readonly next: SweepCursor | null;
}

/** Marked tags in a page. */
const PAGE = 100;

/**
 * Walks the registries for tags with a deletion mark, a page at a time: their catalogues, one HEAD a tag, and the referrers
 * of every digest. What cannot be read is an outcome and stops nothing else.
 */
export function createFindMarks(deps: Dependencies) {
  return step(async (request: FindRequest, context): Promise<MarksPage> => {
    const found: MarkedTag[] = [];
    const settled: PurgeOutcome[] = [];
    for await (const place of walkRepositories(deps, request, context)) {
      if ('error' in place) {
        settled.push(place.known ? unread(place.name, place.error) : unknown(place.name, place.error));
        continue;
      }
      const { repository, after } = place;
      try {
        for await (const one of marksIn(deps, repository, after, context.signal)) {
          if ('decision' in one) settled.push(one);
          else found.push(one);
          if (found.length < PAGE || !('tag' in one)) continue;
          return { found, settled, next: { registry: repository.registry, path: repository.path, tag: one.tag } };
        }
      } catch (error) {
        context.signal.throwIfAborted();
        settled.push(unread(`${repository.host}/${repository.path}`, reportError(error)));
      }
      if (settled.length < PAGE) continue;
      return { found, settled, next: { registry: repository.registry, path: repository.path, tag: null } };
    }
    return { found, settled, next: null };
  });
}

interface Unread {
  readonly name: string;
  readonly error: ReportedError;
}

export interface RepositoriesPage {
  readonly repositories: readonly DestinationRepository[];
  readonly unread: readonly Unread[];
  /** Registries without a catalogue, of several; an older worker does not tell. */
  readonly passedOver?: readonly Unread[];
  readonly next: SweepCursor | null;
}

/** The repositories of the registries, a page at a time. */
export function createListRepositories(deps: Dependencies) {
  return step(async (request: FindRequest, context): Promise<RepositoriesPage> => {
    const repositories: DestinationRepository[] = [];
    const unreadable: Unread[] = [];
    const passedOver: Unread[] = [];
    for await (const place of walkRepositories(deps, request, context)) {
      if ('repository' in place) repositories.push(place.repository);
      else (place.known ? unreadable : passedOver).push({ name: place.name, error: place.error });
      const last = repositories.at(-1);
      if (repositories.length < PAGE || last === undefined) continue;
      return {
        repositories,
        unread: unreadable,
        passedOver,
        next: { registry: last.registry, path: last.path, tag: null },
      };
    }
    return { repositories, unread: unreadable, passedOver, next: null };
  });
}

type Place =
  | { readonly repository: DestinationRepository; readonly after: string | null }
  | {
      readonly name: string;
      readonly error: ReportedError;
      /** false: one of several registries, which has no catalogue and, as far as anybody knows, nothing of houba's. */
      readonly known: boolean;
    };

/** Every repository of the registries, in the order of their names, from the cursor on. */
async function* walkRepositories(
  deps: Dependencies,
  { registries, repositories, cursor }: FindRequest,
  { signal, progress }: StepContext,
): AsyncGenerator<Place> {
  const from = cursor === null ? 0 : registries.indexOf(cursor.registry);
  for (const name of registries.slice(Math.max(0, from))) {
    const entry = rosterByName(deps.roster, name);
    let found: Repository[];
    try {
      found = await findRepositories(deps, entry, repositories, signal);
    } catch (error) {
      signal.throwIfAborted();
      const reported = reportError(error);
      yield { name: entry.host, error: reported, known: reported.type !== 'Unsupported' || registries.length === 1 };
      continue;
    }
    for (const { host, path } of found) {
      const here = cursor !== null && cursor.registry === name ? cursor : null;
      if (here !== null && (compareText(path, here.path) < 0 || (path === here.path && here.tag === null))) continue;
      signal.throwIfAborted();
      progress({ repository: `${host}/${path}` });
      yield {
        repository: { registry: name, host, path },
        after: here !== null && path === here.path ? here.tag : null,
      };
    }
  }
}

/** The marked tags of one repository in the order of their names, and marks that never purge. */
async function* marksIn(
  deps: Dependencies,
  destination: DestinationRepository,
  after: string | null,
  signal: AbortSignal,
): AsyncGenerator<MarkedTag | PurgeOutcome> {
  const { reader, settings } = deps;
  const limit = pLimit(settings.maxConcurrency);
  const listed = ((await reader.listTags(destination, signal)) ?? [])
    .filter((tag) => isTag(tag) && !isEvidenceTag(tag))
    .filter((tag) => after === null || compareText(tag, after) > 0)
    .sort(compareText);
  const marks = new Map<Digest, Promise<PlacedMark[]>>();
  const marksOn = (digest: Digest): Promise<PlacedMark[]> => {
    const known = marks.get(digest);
    if (known !== undefined) return known;
    const asked = reader
      .listReferrers(destination, digest, {}, signal)
      .then((referrers) => readMarks(digest, referrers, settings.prefix));
    marks.set(digest, asked);
    return asked;
  };
  const look = async (tag: string): Promise<MarkedTag | PurgeOutcome | null> => {
    const head = await reader.headManifest(destination, tag, signal);
    if (head === null) return null;
    const { digest } = head;
    const pending = (await marksOn(digest)).filter(({ mark }) => mark.state === 'pending-deletion');
    const own = pending.find(({ mark }) => mark.tag === tag);
    if (own !== undefined) return { destination, tag, digest, policy: own.mark.identity.policy };
    if (!pending.some(({ mark }) => mark.tag === null)) return null;
    const reason = 'its mark names no tag, so nobody can tell which one was meant (L3)';
    return outcomeOf({ destination, tag, digest, policy: '' }, { act: 'end', digest, reason, gone: false });
  };
  for (let start = 0; start < listed.length; start += PAGE) {
    const looked = listed.slice(start, start + PAGE).map((tag) => limit(() => look(tag)));
    for (const one of await Promise.all(looked)) if (one !== null) yield one;
  }
}

function unknown(name: string, error: ReportedError): PurgeOutcome {
  return { ...unread(name, error), reason: `it was not looked at: ${error.message}`, error: null };
}

function unread(name: string, error: ReportedError): PurgeOutcome {
  const place = { destination: { registry: '', host: '', path: '' }, tag: '', digest: null, policy: '' };
  return { ...failedOutcome(place, error), image_ref: name, reason: 'it could not be read' };
}
