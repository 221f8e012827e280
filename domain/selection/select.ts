import { isEvidenceTag } from '../reference.js';
import { orderOf } from './order.js';
import { compilePattern } from './pattern.js';
import { inRange } from './semver-range.js';
import { type OrderName, readInOrder, sortByOrder, streamsOf } from './tag-version.js';

export type RejectionRule =
  | 'evidence-tag'
  | 'includeRegex'
  | `excludeRegex[${number}]`
  | 'semverOnly'
  | 'finalsOnly'
  | 'semverRange'
  | 'newest';

export interface SelectedTags {
  /** Lowest first, each once. */
  readonly selected: string[];
  /** Entries of `names` that the upstream does not have. */
  readonly missingNames: string[];
}

/** Selects the concrete tags of an import (docs/rules/selection.md#selection-is-pure). */
export function selectTags(upstream: Iterable<string>, selection: TagSelection): SelectedTags {
  const existing = new Set(upstream);
  const decisions = decideTags(existing, selection);
  const selected = [...existing].filter((tag) => decisions.get(tag)?.rule === null);
  const missingNames = [...new Set(selection.names)].filter((name) => !existing.has(name));
  return { selected: sortByOrder(orderOf(selection), selected), missingNames };
}

export interface TagDecision {
  /** null: the tag is selected. */
  readonly rule: RejectionRule | null;
  /** Its place among the tags of its stream that `newest` counts, from 1. */
  readonly place?: number;
}

/** Decides on every tag of the source (docs/rules/selection.md#rules-apply-in-one-order). */
export function decideTags(upstream: Iterable<string>, selection: TagSelection): Map<string, TagDecision> {
  const reject = rejectionRule(selection);
  const decisions = new Map<string, TagDecision>();
  for (const tag of upstream) decisions.set(tag, { rule: reject(tag) });
  if (selection.newest == null) return decisions;
  const { newest } = selection;
  const names = new Set(selection.names);
  const left = [...decisions].flatMap(([tag, { rule }]) => (rule === null && !names.has(tag) ? [tag] : []));
  const read = readInOrder(orderOf(selection), left);
  for (const { tag, version } of read) if (version === null) decisions.set(tag, { rule: 'newest' });
  for (const stream of streamsOf(read.filter(({ version }) => version !== null))) {
    stream.toReversed().forEach(({ tag }, index) => {
      decisions.set(tag, { rule: index < newest ? null : 'newest', place: index + 1 });
    });
  }
  return decisions;
}

/**
 * The rule that leaves a tag out, but for `newest`, which depends on the others; null: none.
 * @throws HoubaError `PolicyInvalid` for a pattern that does not compile
 */
export function rejectionRule(selection: TagSelection): (tag: string) => RejectionRule | null {
  const names = new Set(selection.names);
  const include = selection.includeRegex === null ? null : compilePattern(selection.includeRegex);
  const excludes = selection.excludeRegex.map(compilePattern);
  const order = orderOf(selection);
  const isInRange = selection.semverRange == null ? null : inRange(selection.semverRange);
  return (tag) => {
    if (isEvidenceTag(tag)) return 'evidence-tag';
    if (names.has(tag)) return null;
    if (include !== null && !include.matches(tag)) return 'includeRegex';
    const excluded = excludes.findIndex((pattern) => pattern.matches(tag));
    if (excluded >= 0) return `excludeRegex[${excluded}]`;
    const version = order.read(tag);
    if (selection.semverOnly && version === null) return 'semverOnly';
    if (selection.finalsOnly === true && version?.prerelease !== null) return 'finalsOnly';
    return isInRange === null || (version !== null && isInRange(version)) ? null : 'semverRange';
  };
}

export interface TagSelection {
  readonly includeRegex: string | null;
  readonly excludeRegex: readonly string[];
  readonly semverOnly: boolean;
  readonly names: readonly string[];
  readonly aliases: readonly string[];
  readonly order?: OrderName;
  readonly finalsOnly?: boolean;
  readonly semverRange?: string | null;
  /** How many of the highest tags of each stream are taken; null: all. */
  readonly newest?: number | null;
}
