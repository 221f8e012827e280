import { DAY_MS } from '../duration.js';
import { parseInstant } from '../instant.js';
import { compareTags, sortTags } from '../selection/version.js';

/** Limits of a stream (docs/rules/retention.md#surplus-is-counted-by-stream). */
export interface Retention {
  readonly keep: number;
  readonly olderThanDays: number;
}

export interface RetentionLevel {
  readonly keep: number | null;
  readonly olderThanDays: number | null;
}

const DEFAULTS: Retention = { keep: 2, olderThanDays: 30 };

/** Merges the levels by field; null: retention is off (docs/rules/retention.md#levels-of-retention). */
export function resolveRetention(ofImport: RetentionLevel | null, ofFleet: RetentionLevel | null): Retention | null {
  if (ofImport === null && ofFleet === null) return null;
  return {
    keep: ofImport?.keep ?? ofFleet?.keep ?? DEFAULTS.keep,
    olderThanDays: ofImport?.olderThanDays ?? ofFleet?.olderThanDays ?? DEFAULTS.olderThanDays,
  };
}

export interface StreamTag {
  readonly tag: string;
  readonly created: string | null;
}

/** Finds the surplus of a stream, lowest tag first (docs/rules/retention.md#surplus-is-counted-by-stream). */
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
