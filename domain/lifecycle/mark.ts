import type { Digest } from '../digest.js';
import { DAY_MS } from '../duration.js';
import { formatInstant, parseInstant } from '../instant.js';
import { prefixedKeys } from '../stamp/keys.js';

/** Artifact type of a deletion mark (docs/rules/retention.md#a-mark-says-it-all). */
export const MARK_ARTIFACT_TYPE = 'application/vnd.houba.lifecycle.pending+json';

export type MarkReason = 'dropped-from-selection' | 'retention-excess';

export interface MarkIdentity {
  readonly policy: string;
  readonly import: string;
  readonly variant: string;
}

export interface Mark {
  /** null: the mark names no tag, and deletes nothing (docs/rules/retention.md#a-mark-speaks-of-one-tag). */
  readonly tag: string | null;
  readonly state: 'pending-deletion' | 'restored';
  /** ISO 8601 as houba writes it; any text when somebody else made the mark. */
  readonly markedAt: string;
  readonly reason: MarkReason;
  readonly identity: MarkIdentity;
  readonly restored: { readonly by: string; readonly reason: string } | null;
}

export interface PlacedMark {
  readonly referrer: Digest;
  readonly subject: Digest;
  readonly mark: Mark;
}

/** Tolerated difference of clocks. A mark from later on would keep its tag for ever. */
export const FASTEST_CLOCK_MS = DAY_MS;

const PENDING = 'pending-deletion';
const RESTORED = 'restored';

/** Builds the annotations of a mark; an empty prefix leaves the bare lifecycle keys and no identity. */
export function markAnnotations(mark: Mark, prefix: string): Record<string, string> {
  const keys = markKeys(prefix);
  const pairs: [string | null, string | null][] = [
    [keys.state, mark.state],
    [keys.markedAt, mark.markedAt],
    [keys.reason, mark.reason],
    [keys.tag, mark.tag],
    [keys.restoredBy, mark.restored?.by ?? null],
    [keys.restoredReason, mark.restored?.reason ?? null],
    [keys.policy, mark.identity.policy],
    [keys.import, mark.identity.import],
    [keys.variant, mark.identity.variant],
  ];
  const written = pairs.filter((pair): pair is [string, string] => pair[0] !== null && Boolean(pair[1]));
  return Object.fromEntries(written.sort(([a], [b]) => (a < b ? -1 : 1)));
}

export function readMarks(
  subject: Digest,
  referrers: readonly {
    readonly digest: Digest;
    readonly artifactType: string;
    readonly annotations: Readonly<Record<string, string>>;
  }[],
  prefix: string,
): PlacedMark[] {
  return referrers
    .filter(({ artifactType }) => artifactType === MARK_ARTIFACT_TYPE)
    .map(({ digest, annotations }) => ({ referrer: digest, subject, mark: readMark(annotations, prefix) }));
}

function readMark(annotations: Readonly<Record<string, string>>, prefix: string): Mark {
  const keys = markKeys(prefix);
  const read = (key: string | null) =>
    key !== null && Object.hasOwn(annotations, key) ? (annotations[key] ?? '') : '';
  // An unknown state does not delete.
  const pending = read(keys.state) === PENDING;
  return {
    tag: read(keys.tag) || null,
    state: pending ? PENDING : RESTORED,
    markedAt: read(keys.markedAt),
    reason: read(keys.reason) === 'retention-excess' ? 'retention-excess' : 'dropped-from-selection',
    identity: { policy: read(keys.policy), import: read(keys.import), variant: read(keys.variant) },
    restored: pending ? null : { by: read(keys.restoredBy), reason: read(keys.restoredReason) },
  };
}

export function restoredMark(mark: Mark, by: string, reason: string, nowMs: number): Mark {
  return { ...mark, state: RESTORED, markedAt: formatInstant(nowMs), restored: { by, reason } };
}

/** Tells whether a person restored the tag (docs/rules/retention.md#a-restored-tag-stays). */
export function isRestored(marks: readonly PlacedMark[], tag: string): boolean {
  return marks.some(({ mark }) => mark.tag === tag && mark.state === RESTORED);
}

/** Finds the newest mark of a tag; null: none, the tag was restored, or one of its marks has no time. */
export function pendingMark(marks: readonly PlacedMark[], tag: string): PlacedMark | null {
  if (isRestored(marks, tag)) return null;
  let last: { placed: PlacedMark; at: number } | null = null;
  for (const placed of marks) {
    if (placed.mark.tag !== tag) continue;
    const at = parseInstant(placed.mark.markedAt);
    if (at === null) return null;
    if (last === null || at > last.at) last = { placed, at };
  }
  return last?.placed ?? null;
}

/** Builds the keys of marks: bare lifecycle keys without a prefix, identity keys only with one. */
export function markKeys(prefix: string) {
  const lifecycle = prefix === '' ? 'lifecycle' : `${prefix}.lifecycle`;
  const stamp = prefixedKeys(prefix);
  return {
    state: `${lifecycle}.state`,
    markedAt: `${lifecycle}.marked-at`,
    reason: `${lifecycle}.reason`,
    tag: `${lifecycle}.tag`,
    /** In the note on a superseded manifest. */
    supersededBy: `${lifecycle}.superseded-by`,
    restoredBy: `${lifecycle}.restored.by`,
    restoredReason: `${lifecycle}.restored.reason`,
    policy: stamp?.policy ?? null,
    import: stamp?.import ?? null,
    variant: stamp?.variant ?? null,
  };
}
