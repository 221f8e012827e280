import { DAY_MS } from '../duration.js';
import { parseInstant } from '../instant.js';
import { compareTags, sortTags } from '../selection/version.js';

/** How much of a stream is surplus (docs/rules/retention.md#surplus-is-counted-by-stream). */
export interface Retention {
  /** The newest of a stream that are never surplus. */
  readonly keep: number;
  readonly olderThanDays: number;
}

/** A level of the cascade: the import's `archive`, or `HOUBA_RETENTION`. */
export interface RetentionLevel {
  readonly keep: number | null;
  readonly olderThanDays: number | null;
}

const DEFAULTS: Retention = { keep: 2, olderThanDays: 30 };

/**
 * Each field by itself: the import's, else the fleet's, else the default. null: neither level exists, retention is off.
 */
export function resolveRetention(ofImport: RetentionLevel | null, ofFleet: RetentionLevel | null): Retention | null {
  if (ofImport === null && ofFleet === null) return null;
  return {
    keep: ofImport?.keep ?? ofFleet?.keep ?? DEFAULTS.keep,
    olderThanDays: ofImport?.olderThanDays ?? ofFleet?.olderThanDays ?? DEFAULTS.olderThanDays,
  };
}

/** A tag that the selection wants and the mirror has. */
export interface StreamTag {
  readonly tag: string;
  /** When it was placed, as its stamp says. */
  readonly created: string | null;
}

/**
 * The surplus of one stream: the tags of one variant of one import at one destination. What an alias shows is kept and
 * not counted; a tag that does not say when it was placed is left alone. Of tags placed at the same time the higher
 * version is the newer (docs/rules/retention.md#surplus-is-counted-by-stream).
 *
 * @param aliasTargets output tags that an alias of the stream points to
 * @returns in the order of tags, lowest first
 */
export function surplusTags(
  stream: readonly StreamTag[],
  aliasTargets: ReadonlySet<string>,
  retention: Retention,
  nowMs: number,
): string[] {
  const dated: { tag: string; at: number }[] = [];
  for (const { tag, created } of stream) {
    const at = created === null ? null : parseInstant(created);
    if (at !== null && !aliasTargets.has(tag)) dated.push({ tag, at });
  }
  dated.sort((a, b) => b.at - a.at || compareTags(b.tag, a.tag));
  const surplus = dated.slice(retention.keep).filter(({ at }) => nowMs - at > retention.olderThanDays * DAY_MS);
  return sortTags(surplus.map(({ tag }) => tag));
}
