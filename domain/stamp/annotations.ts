import { type Digest, isDigest } from '../digest.js';
import { formatRepository, formatTagged, type Repository } from '../reference.js';
import { OCI_KEYS, prefixedKeys } from './keys.js';

/** Everything a stamp says. It names no location: the same image in two places carries the same label (section 6). */
export interface Stamp {
  readonly source: Repository;
  readonly sourceTag: string;
  /** The source's digest (the index's, if multi-platform); the idempotency key. */
  readonly baseDigest: Digest;
  /** Upstream's own revision, never invented. */
  readonly revision: string | null;
  /** Time of the run, ISO 8601 with `+00:00`. */
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
  /** What the tag resolved to before, on an update, a restamp, or an import over an unstamped tag. */
  readonly supersedes: Digest | null;
}

/** The annotations of section 6, sorted by key. An empty prefix leaves the OCI keys alone. */
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
      [keys.supersedes, stamp.supersedes],
    );
  }
  const written = pairs.filter((pair): pair is [string, string] => pair[1] !== null);
  return Object.fromEntries(written.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** What a placed manifest says about itself, as far as planning compares it. */
export interface RecordedStamp {
  readonly baseDigest: Digest;
  readonly baseName: string | null;
  readonly created: string | null;
  readonly revision: string | null;
  readonly vendor: string | null;
  readonly policy: string | null;
  readonly import: string | null;
  readonly variant: string | null;
  /** Joined by `,`; null when absent. */
  readonly owners: string | null;
  readonly transformVersion: string | null;
  readonly platforms: string | null;
}

/**
 * Reads a stamp back; null when the manifest is not houba's. There is one test (L5): `{prefix}.policy`, and with an
 * empty prefix the base digest. A stamp whose base digest is missing or malformed is no stamp: such a tag is
 * never deleted.
 */
export function readStamp(annotations: Readonly<Record<string, string>>, prefix: string): RecordedStamp | null {
  const read = (key: string | undefined): string | null =>
    key !== undefined && Object.hasOwn(annotations, key) ? (annotations[key] ?? null) : null;
  const keys = prefixedKeys(prefix);
  const baseDigest = read(OCI_KEYS.baseDigest);
  if (baseDigest === null || !isDigest(baseDigest)) return null;
  if (keys !== null && read(keys.policy) === null) return null;
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
    transformVersion: read(keys?.transformVersion),
    platforms: read(keys?.platforms),
  };
}
