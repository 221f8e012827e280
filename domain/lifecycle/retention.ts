import { DAY_MS } from '../duration.js';
import { parseInstant } from '../instant.js';
import { compareReadTags, sortByOrder, streamsOf, type TagOrder } from '../selection/tag-version.js';
import { SEMVER_ORDER } from '../selection/version.js';

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

export interface DatedTag {
  readonly tag: string;
  readonly created: string | null;
}

/** Finds the surplus of each stream, lowest tag first (docs/rules/retention.md#surplus-is-counted-by-stream). */
export function surplusTags(
  tags: readonly DatedTag[],
  aliasTargets: ReadonlySet<string>,
  retention: Retention,
  nowMs: number,
  order: TagOrder = SEMVER_ORDER,
): string[] {
  const dated = tags.flatMap(({ tag, created }) => {
    const at = created === null ? null : parseInstant(created);
    return at === null || aliasTargets.has(tag) ? [] : [{ tag, at, version: order.read(tag) }];
  });
  const surplus = streamsOf(dated).flatMap((stream) => {
    const newestFirst = stream.toSorted((a, b) => b.at - a.at || compareReadTags(order, b, a));
    return newestFirst.slice(retention.keep).filter(({ at }) => nowMs - at > retention.olderThanDays * DAY_MS);
  });
  return sortByOrder(
    order,
    surplus.map(({ tag }) => tag),
  );
}
