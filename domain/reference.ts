import { type Digest, parseDigest } from './digest.js';
import { HoubaError } from './errors.js';

/** A repository: registry host with port, and path (`docker.io` + `library/redis`). */
export interface Repository {
  readonly host: string;
  readonly path: string;
}

export interface Reference extends Repository {
  readonly tag: string | null;
  readonly digest: Digest | null;
}

const HOST = /^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?$/;
const PATH = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;

/** Tags of evidence in registries without a referrers API (docs/rules/selection.md#evidence-tags-are-no-images). */
const EVIDENCE_TAG = /^sha256-[0-9a-f]{64}(?:\.(?:sig|att|sbom))?$/;

/** Checks a tag by the grammar of the distribution specification. */
export function isTag(text: string): boolean {
  return TAG.test(text);
}

export function isEvidenceTag(tag: string): boolean {
  return EVIDENCE_TAG.test(tag);
}

/** The tag of the list of a manifest's referrers, where a registry has no API for them (distribution specification). */
export function referrersTag(digest: Digest): string {
  const [algorithm = '', hex = ''] = digest.split(':');
  return `${algorithm}-${hex.slice(0, 64)}`;
}

/** Tells a registry host from a path component (docs/rules/registry-access.md#the-roster-names-registries). */
export function isHost(text: string): boolean {
  return (text.includes('.') || text.includes(':') || text === 'localhost') && HOST.test(text);
}

/** Characters of a repository's path (distribution specification). */
export const LONGEST_PATH = 255;

/**
 * Joins host and path; only here a `docker.io` path of one component gets its `library/`.
 * @throws HoubaError `ReferenceInvalid`
 */
export function parseRepository(host: string, path: string): Repository {
  if (!HOST.test(host)) throw invalid(`${host}/${path}`, `${JSON.stringify(host)} is not a registry host`);
  const full = host === 'docker.io' && !path.includes('/') ? `library/${path}` : path;
  if (!PATH.test(full) || full.length > LONGEST_PATH)
    throw invalid(`${host}/${path}`, `${JSON.stringify(path)} is not a repository name`);
  return { host, path: full };
}

/**
 * Parses `host/path[:tag][@digest]`; the host is required.
 * @throws HoubaError `ReferenceInvalid`
 */
export function parseReference(text: string): Reference {
  const [named = '', digestText, ...rest] = text.split('@');
  if (rest.length > 0) throw invalid(text, 'more than one @');
  const slash = named.indexOf('/');
  const host = slash < 0 ? '' : named.slice(0, slash);
  if (!isHost(host)) throw invalid(text, 'it must start with a registry host, as in docker.io/library/redis:7');
  const tail = named.slice(slash + 1);
  const colon = tail.indexOf(':');
  const path = colon < 0 ? tail : tail.slice(0, colon);
  const tag = colon < 0 ? null : tail.slice(colon + 1);
  if (tag !== null && !isTag(tag)) throw invalid(text, `${JSON.stringify(tag)} is not a tag`);
  const digest = digestText === undefined ? null : parseDigest(digestText);
  return { ...parseRepository(host, path), tag, digest };
}

export function formatRepository(repository: Repository): string {
  return `${repository.host}/${repository.path}`;
}

export function formatTagged(repository: Repository, tag: string): string {
  return `${formatRepository(repository)}:${tag}`;
}

export function formatPinned(repository: Repository, digest: Digest): string {
  return `${formatRepository(repository)}@${digest}`;
}

function invalid(text: string, why: string): HoubaError {
  return new HoubaError('ReferenceInvalid', `not a usable reference: ${JSON.stringify(text.slice(0, 300))}: ${why}`);
}
