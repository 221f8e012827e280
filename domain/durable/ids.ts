import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import { formatRepository, formatTagged, type Repository } from '../reference.js';

/** Longest workflow id: some servers refuse more. Ids are locks (docs/rules/durability.md#the-id-is-the-lock). */
const LONGEST = 200;

export function fleetId(at: Date): string {
  return `reconcile-fleet-${compactTime(at)}`;
}

export function planFleetId(at: Date): string {
  return `plan-fleet-${compactTime(at)}`;
}

export function policyId(policy: string): string {
  return bounded(`reconcile/${policy}`);
}

/** The id of a dry run carries its time, so that it takes no lock. */
export function planId(policy: string, at: Date): string {
  return bounded(`plan/${policy}-${compactTime(at)}`);
}

export function placementId(repository: Repository, tag: string): string {
  return bounded(`place/${formatTagged(repository, tag)}`);
}

export function settleId(repository: Repository, tag: string): string {
  return bounded(`settle/${formatTagged(repository, tag)}`);
}

export function retireId(repository: Repository, tag: string): string {
  return bounded(`retire/${formatTagged(repository, tag)}`);
}

export function deletionsId(repository: Repository): string {
  return bounded(`deletions/${formatRepository(repository)}`);
}

/** The id of a sweep: one at a time of each kind; a dry run takes no lock. */
export function sweepId(verb: string, dryRunAt: Date | null): string {
  return dryRunAt === null ? verb : `${verb}-plan-${compactTime(dryRunAt)}`;
}

/** Cuts an id to the limit; a hash keeps it unique. */
function bounded(id: string): string {
  if (id.length <= LONGEST) return id;
  const hash = bytesToHex(sha256(utf8ToBytes(id))).slice(0, 16);
  return `${id.slice(0, LONGEST - hash.length - 1)}~${hash}`;
}

function compactTime(at: Date): string {
  return at.toISOString().replaceAll(':', '-');
}
