import { HoubaError } from '../../domain/errors.js';
import { destinationsOf } from '../../domain/policy/destinations.js';
import { resolvePolicy } from '../../domain/policy/resolve.js';
import { formatRepository, parseRepository, type Repository } from '../../domain/reference.js';
import type { RosterEntry } from '../../domain/roster.js';
import { compareText } from '../../domain/text/compare-text.js';
import type { Dependencies } from '../dependencies.js';

/**
 * Lists the repositories of a roster entry by path: the named ones, else the catalogue; where there is none, those that
 * the policies of `POLICY_DIR` write to and those that this worker remembers.
 * @param named `host/path`; null: all
 * @throws HoubaError what asking for the catalogue throws, where nothing else is known
 */
export async function findRepositories(
  deps: Dependencies,
  entry: RosterEntry,
  named: readonly string[] | null,
  signal: AbortSignal,
): Promise<Repository[]> {
  if (named !== null) return inside(entry, named.map(parseName));
  try {
    const paths = await deps.reader.listRepositories(entry.host, signal);
    return inside(entry, paths.flatMap(usablePath(entry.host)));
  } catch (error) {
    if (!(error instanceof HoubaError) || !isWithoutCatalogue(error)) throw error;
    const known = inside(entry, [...(await written(deps, entry)), ...deps.memory.repositories(entry.host)]);
    if (known.length === 0) {
      throw new HoubaError(error.code, error.message, {
        hint:
          deps.settings.policyDir === null
            ? 'name the repositories with --repository, or set POLICY_DIR on the worker'
            : 'no policy of POLICY_DIR writes there; name the repositories with --repository',
        cause: error,
      });
    }
    deps.journal.event('catalogue.missing', { registry: entry.name, repositories: known.length });
    return known;
  }
}

export function parseName(name: string): Repository {
  const slash = name.indexOf('/');
  return parseRepository(slash < 0 ? '' : name.slice(0, slash), name.slice(slash + 1));
}

export function isInside({ host, namespace }: RosterEntry, repository: Repository): boolean {
  return repository.host === host && (namespace === null || repository.path.startsWith(`${namespace}/`));
}

/** Whether a registry offers no catalogue, or not to these credentials. */
function isWithoutCatalogue({ code }: HoubaError): boolean {
  return code === 'Unsupported' || code === 'Denied' || code === 'Unauthorized' || code === 'NotFound';
}

function usablePath(host: string): (path: string) => Repository[] {
  return (path) => {
    try {
      return [parseRepository(host, path)];
    } catch {
      return [];
    }
  };
}

function inside(entry: RosterEntry, repositories: readonly Repository[]): Repository[] {
  const found = new Map<string, Repository>();
  for (const one of repositories) if (isInside(entry, one)) found.set(formatRepository(one), one);
  return [...found.values()].sort((a, b) => compareText(a.path, b.path));
}

/** Lists the destinations of the worker's policies at this registry. */
async function written(deps: Dependencies, entry: RosterEntry): Promise<Repository[]> {
  if (deps.settings.policyDir === null) return [];
  const policies = await deps.readPolicies(deps.settings.policyDir);
  const written = policies.flatMap(({ policy }) => destinationsOf(resolvePolicy(policy), deps.roster));
  return written.filter(({ host }) => host === entry.host);
}
