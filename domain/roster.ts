import { HoubaError } from './errors.js';
import { formatRepository, parseRepository, type Repository } from './reference.js';

/** A registry that houba knows, and may write to unless it is only a source; never a credential. */
export interface RosterEntry {
  readonly name: string;
  readonly host: string;
  /** The path that every repository lies under (`ghcr.io/acme` → `acme`), or null. */
  readonly namespace: string | null;
  /** false: plain HTTP. */
  readonly tlsVerify: boolean;
  readonly deletionMode: 'purge' | 'mark' | null;
  /** Whether it is only read (docs/rules/registry-access.md#a-source-only-entry-is-only-read). */
  readonly sourceOnly: boolean;
}

export type Roster = ReadonlyMap<string, RosterEntry>;

/**
 * Finds a roster entry by name; null means the only one (docs/rules/registry-access.md#the-roster-names-registries).
 * @throws HoubaError `ConfigInvalid`
 */
export function rosterByName<Entry extends RosterEntry>(
  roster: ReadonlyMap<string, Entry>,
  name: string | null,
): Entry {
  const known = [...roster.keys()].join(', ') || 'none';
  if (name === null) {
    const [only, ...others] = roster.values();
    if (only !== undefined && others.length === 0) return only;
    throw new HoubaError(
      'ConfigInvalid',
      `a destination without a registry needs a roster of exactly one entry; it has: ${known}`,
      {
        hint: 'name the registry in the destination, or set HOUBA_REGISTRIES',
      },
    );
  }
  const entry = roster.get(name);
  if (entry !== undefined) return entry;
  throw new HoubaError('ConfigInvalid', `registry ${JSON.stringify(name)} is not in the roster; it has: ${known}`, {
    hint: 'add it to HOUBA_REGISTRIES',
  });
}

/** As `rosterByName`, to write there. @throws HoubaError `ConfigInvalid`, also where the entry is only a source */
export function destinationByName<Entry extends RosterEntry>(
  roster: ReadonlyMap<string, Entry>,
  name: string | null,
): Entry {
  return requireDestination(rosterByName(roster, name));
}

function requireDestination<Entry extends RosterEntry>(entry: Entry): Entry {
  if (!entry.sourceOnly) return entry;
  throw new HoubaError('ConfigInvalid', `registry ${JSON.stringify(entry.name)} is only a source`, {
    hint: 'nothing is written or deleted there; if it should be, take source_only out of its entry in HOUBA_REGISTRIES',
  });
}

/** Finds the first entry with this host; null: a source outside the roster is read with ambient credentials. */
export function rosterByHost<Entry extends RosterEntry>(
  roster: ReadonlyMap<string, Entry>,
  host: string,
): Entry | null {
  for (const entry of roster.values()) if (entry.host === host) return entry;
  return null;
}

/**
 * Builds the destination's path: `{host}[/{namespace}]/{project}/{repository}`. @throws HoubaError `ReferenceInvalid`
 * when no registry can hold it
 */
export function destinationRepository(entry: RosterEntry, project: string, repository: string): Repository {
  const path = [entry.namespace, project, repository].filter((part) => part !== null && part !== '').join('/');
  return parseRepository(entry.host, path);
}

/** Builds a destination's repository; null: no registry can hold its path. @throws HoubaError as `destinationByName` */
export function findDestination(
  roster: Roster,
  { registry, project, repository }: { registry: string | null; project: string; repository: string },
): Repository | null {
  const entry = destinationByName(roster, registry);
  try {
    return destinationRepository(entry, project, repository);
  } catch (error) {
    if (error instanceof HoubaError && error.code === 'ReferenceInvalid') return null;
    throw error;
  }
}

/** A destination with the roster name of its credentials (docs/rules/security.md#credentials-go-to-one-place). */
export interface DestinationRepository extends Repository {
  readonly registry: string;
}

/**
 * Finds the roster entry that a repository lies in, the one with the longest namespace
 * (docs/rules/registry-access.md#only-listed-hosts-are-written-to), to write there. @throws HoubaError `ConfigInvalid`
 */
export function placeInRoster(roster: Roster, { host, path }: Repository): DestinationRepository {
  const fitting = [...roster.values()]
    .filter((entry) => entry.host === host && (entry.namespace === null || path.startsWith(`${entry.namespace}/`)))
    .sort((a, b) => (b.namespace?.length ?? 0) - (a.namespace?.length ?? 0));
  const [entry] = fitting;
  if (entry !== undefined) return { registry: requireDestination(entry).name, host, path };
  const known = [...roster.values()].map((one) => one.host).join(', ') || 'none';
  throw new HoubaError('ConfigInvalid', `${formatRepository({ host, path })} is in no registry of the roster`, {
    hint: `HOUBA_REGISTRIES has: ${known}`,
  });
}
