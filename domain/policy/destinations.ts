import type { Repository } from '../reference.js';
import { findDestination, type Roster } from '../roster.js';
import type { ResolvedPolicy } from './resolve.js';

/**
 * Lists the repositories that a policy writes to, import by import; a path that no registry can hold is left out: the
 * policy fails alone. @throws HoubaError as `findDestination`
 */
export function destinationsOf({ imports }: ResolvedPolicy, roster: Roster): Repository[] {
  return imports.flatMap(({ destinations }) => destinations.flatMap((one) => findDestination(roster, one) ?? []));
}
