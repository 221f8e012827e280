import { type Digest, isDigest } from '../digest.js';
import type { HumanWord } from '../human-word.js';
import { formatRepository, formatTagged, type Repository } from '../reference.js';
import { OCI_KEYS, prefixedKeys } from './keys.js';

/** The facts of a stamp to write (docs/rules/stamp.md#a-stamp-names-no-place). */
export interface Stamp {
  readonly source: Repository;
  readonly sourceTag: string;
  /** The source digest (the index's, if multi-platform), by which a later run tells a moved tag. */
  readonly baseDigest: Digest;
  /** Upstream's own revision, never invented. */
  readonly revision: string | null;
  /** Time of the run, ISO 8601. */
  readonly created: string;
  readonly artifactType: string;
  readonly policy: string;
  readonly import: string;
  readonly variant: string;
  readonly owners: readonly string[];
  readonly vendor: string | null;
  readonly transformSteps: readonly string[];
  readonly transformVersion: string | null;
  readonly platforms: readonly string[] | null;
  /** Children of the base that the image lacks (docs/rules/stamp.md#a-lost-attestation-is-left-out). */
  readonly lost?: readonly Digest[] | undefined;
  /** The digest that the tag showed before (docs/rules/stamp.md#what-was-there-is-named). */
  readonly supersedes: Digest | null;
  /** The verified signer of the source: a key's fingerprint, or identity and issuer. */
  readonly upstreamVerified: string | null;
  /** The person who ended the wait of this base digest. */
  readonly promoted?: HumanWord | null;
}

/** Builds the annotations of a stamp, sorted by key; OCI's keys alone where the prefix is empty. */
export function stampAnnotations(stamp: Stamp, prefix: string): Record<string, string> {
  const path = stamp.source.path;
  const pairs: [string, string | null][] = [
    [OCI_KEYS.title, path.slice(path.lastIndexOf('/') + 1)],
    [OCI_KEYS.source, formatRepository(stamp.source)],
    [OCI_KEYS.baseName, formatTagged(stamp.source, stamp.sourceTag)],
    [OCI_KEYS.baseDigest, stamp.baseDigest],
    [OCI_KEYS.created, stamp.created],
    [OCI_KEYS.revision, stamp.revision],
    [OCI_KEYS.vendor, stamp.vendor],
  ];
  const keys = prefixedKeys(prefix);
  if (keys !== null) {
    pairs.push(
      [keys.artifactType, stamp.artifactType],
      [keys.policy, stamp.policy],
      [keys.import, stamp.import],
      [keys.variant, stamp.variant],
      [keys.owners, stamp.owners.join(',') || null],
      [keys.transformSteps, stamp.transformSteps.join(',') || null],
      [keys.transformVersion, stamp.transformVersion],
      [keys.platforms, stamp.platforms?.join(',') ?? null],
      [keys.lost, stamp.lost?.join(',') || null],
      [keys.supersedes, stamp.supersedes],
      [keys.upstreamVerified, stamp.upstreamVerified],
      [keys.promotedBy, stamp.promoted?.by ?? null],
      [keys.promotedReason, stamp.promoted?.reason ?? null],
    );
  }
  const written = pairs.filter((pair): pair is [string, string] => pair[1] !== null);
  return Object.fromEntries(written.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** A stamp as read from a manifest or beside it, as far as planning compares it. */
export interface RecordedStamp {
  readonly baseDigest: Digest;
  readonly baseName: string | null;
  readonly created: string | null;
  readonly revision: string | null;
  readonly vendor: string | null;
  readonly policy: string | null;
  readonly import: string | null;
  readonly variant: string | null;
  /** Joined by `,`, as are the steps and platforms below. */
  readonly owners: string | null;
  readonly transformSteps: string | null;
  readonly transformVersion: string | null;
  readonly platforms: string | null;
  readonly supersedes: Digest | null;
  readonly upstreamVerified: string | null;
  readonly promoted?: HumanWord;
  readonly stampTo: 'annotations' | 'referrer';
}

/**
 * Reads a stamp (docs/rules/stamp.md#there-is-one-test-for-a-stamp); null: there is none, so the tag is never deleted.
 * @param stampTo whose annotations they are: the manifest's, or those of an artifact beside it
 */
export function readStamp(
  annotations: Readonly<Record<string, string>>,
  prefix: string,
  stampTo: RecordedStamp['stampTo'] = 'annotations',
): RecordedStamp | null {
  const read = (key: string | undefined): string | null =>
    key !== undefined && Object.hasOwn(annotations, key) ? (annotations[key] ?? null) : null;
  const keys = prefixedKeys(prefix);
  const baseDigest = read(OCI_KEYS.baseDigest);
  if (baseDigest === null || !isDigest(baseDigest)) return null;
  if (keys !== null && read(keys.policy) === null) return null;
  const supersedes = read(keys?.supersedes);
  const [by, reason] = [read(keys?.promotedBy), read(keys?.promotedReason)];
  return {
    baseDigest,
    baseName: read(OCI_KEYS.baseName),
    created: read(OCI_KEYS.created),
    revision: read(OCI_KEYS.revision),
    vendor: read(OCI_KEYS.vendor),
    policy: read(keys?.policy),
    import: read(keys?.import),
    variant: read(keys?.variant),
    owners: read(keys?.owners),
    transformSteps: read(keys?.transformSteps),
    transformVersion: read(keys?.transformVersion),
    platforms: read(keys?.platforms),
    supersedes: supersedes !== null && isDigest(supersedes) ? supersedes : null,
    upstreamVerified: read(keys?.upstreamVerified),
    ...(by === null || reason === null ? {} : { promoted: { by, reason } }),
    stampTo,
  };
}
