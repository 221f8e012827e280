import type { SweepCursor } from '../../domain/durable/sweeps.js';
import { HoubaError, type ReportedError, reportError } from '../../domain/errors.js';
import { PAGE_SIZES } from '../../domain/plan/work.js';
import type { Repository } from '../../domain/reference.js';
import { type DestinationRepository, destinationByName, type RosterEntry, rosterByName } from '../../domain/roster.js';
import { compareText } from '../../domain/text/compare-text.js';
import { purgeWindow } from '../deletion/ask-oracle.js';
import type { Dependencies } from '../dependencies.js';
import { type StepContext, step } from '../step.js';
import { findRepositories, isInside, parseName } from './find-repositories.js';

export interface SweepRequest {
  /** A name of the roster; null: all. */
  readonly registry: string | null;
  /** `host/path`: these alone; null: all. */
  readonly repositories: readonly string[] | null;
  readonly apply: boolean;
  /** Whether the sweep asks the usage oracle. */
  readonly asks: boolean;
}

export interface OpenedSweep {
  readonly mode: 'apply' | 'dry-run';
  readonly registries: readonly string[];
  readonly concurrency: number;
}

/** Checks what a sweep needs. `HOUBA_DRY_RUN_DELETIONS` makes it a dry run. @throws HoubaError `ConfigInvalid` */
export function createOpenSweep(deps: Dependencies) {
  return step(async ({ registry, repositories, apply, asks }: SweepRequest): Promise<OpenedSweep> => {
    const { settings } = deps;
    if (asks) {
      purgeWindow(deps);
      deps.openOracle();
    }
    // What houba never writes to holds nothing of its own that could go.
    if (registry !== null) destinationByName(deps.roster, registry);
    const entries = placesOf(deps, registry === null ? null : [registry], repositories);
    return {
      mode: apply && !settings.dryRunDeletions ? 'apply' : 'dry-run',
      registries: entries.map(({ name }) => name),
      concurrency: settings.maxConcurrency,
    };
  });
}

/**
 * Lists the roster entries of a sweep, each place once. @param names null: all but those that are only sources
 * (docs/rules/registry-access.md#a-source-only-entry-is-only-read). @throws HoubaError `ConfigInvalid`
 */
export function placesOf(
  { roster }: Dependencies,
  names: readonly string[] | null,
  repositories: readonly string[] | null,
): RosterEntry[] {
  const entries =
    names === null
      ? [...roster.values()].filter(({ sourceOnly }) => !sourceOnly)
      : names.map((name) => rosterByName(roster, name));
  if (entries.length === 0) {
    const hint = roster.size === 0 ? 'set HOUBA_REGISTRIES' : 'every entry of HOUBA_REGISTRIES is only a source';
    throw new HoubaError('ConfigInvalid', 'there is no registry to look at', { hint });
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
  /** `host/path`: these alone; null: all. */
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
  /** Registries without a catalogue, where there are several; older workers leave it out. */
  readonly passedOver?: readonly Unread[];
  /** Requests sent for this page; older workers leave it out. */
  readonly requests?: number;
  readonly next: SweepCursor | null;
}

/** Lists the repositories of the registries, a page at a time. */
export function createListRepositories(deps: Dependencies) {
  return step(async (request: FindRequest, context): Promise<RepositoriesPage> => {
    const repositories: DestinationRepository[] = [];
    const unreadable: Unread[] = [];
    const passedOver: Unread[] = [];
    const page = (next: SweepCursor | null): RepositoriesPage => {
      const requests = deps.reader.requestsUnder(context.signal);
      return { repositories, unread: unreadable, passedOver, requests, next };
    };
    for await (const place of walkRepositories(deps, request, context)) {
      if ('repository' in place) repositories.push(place.repository);
      else (place.known ? unreadable : passedOver).push({ name: place.name, error: place.error });
      const last = repositories.at(-1);
      if (repositories.length < PAGE_SIZES.sweep || last === undefined) continue;
      return page({ registry: last.registry, path: last.path, tag: null });
    }
    return page(null);
  });
}

type Place =
  | { readonly repository: DestinationRepository; readonly after: string | null }
  | {
      readonly name: string;
      readonly error: ReportedError;
      /** false: a registry without a catalogue and without a known repository of houba's, where there are several. */
      readonly known: boolean;
    };

/** Walks the repositories of the registries by name, from the cursor on. */
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
