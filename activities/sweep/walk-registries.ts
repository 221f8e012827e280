import type { SweepCursor } from '../../domain/durable/sweeps.js';
import { HoubaError, type ReportedError, reportError } from '../../domain/errors.js';
import { PAGE_SIZES } from '../../domain/plan/work.js';
import type { Repository } from '../../domain/reference.js';
import { type DestinationRepository, type RosterEntry, rosterByName } from '../../domain/roster.js';
import { compareText } from '../../domain/text/compare-text.js';
import { purgeWindow } from '../deletion/ask-oracle.js';
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
  readonly registries: readonly string[];
  readonly concurrency: number;
}

/**
 * Checks what a sweep needs before anything is read: the registry's name and, where it asks, the idle window and the oracle.
 * `HOUBA_DRY_RUN_DELETIONS` wins over everything.
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
 * Lists the entries of the roster that a sweep walks through, each place once.
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

export interface FindRequest {
  readonly registries: readonly string[];
  /** `host/path`: these alone; null: all there are. */
  readonly repositories: readonly string[] | null;
  readonly cursor: SweepCursor | null;
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

/** Lists the repositories of the registries, a page at a time. */
export function createListRepositories(deps: Dependencies) {
  return step(async (request: FindRequest, context): Promise<RepositoriesPage> => {
    const repositories: DestinationRepository[] = [];
    const unreadable: Unread[] = [];
    const passedOver: Unread[] = [];
    for await (const place of walkRepositories(deps, request, context)) {
      if ('repository' in place) repositories.push(place.repository);
      else (place.known ? unreadable : passedOver).push({ name: place.name, error: place.error });
      const last = repositories.at(-1);
      if (repositories.length < PAGE_SIZES.sweep || last === undefined) continue;
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
      /** false: it has no catalogue and, as far as anybody knows, nothing of houba's; there are other registries. */
      readonly known: boolean;
    };

/** Walks the repositories of the registries, in the order of their names, from the cursor on. */
export async function* walkRepositories(
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
