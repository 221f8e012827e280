import { isEvidenceTag } from '../reference.js';
import { compilePattern } from './pattern.js';
import { parseVersion, sortTags } from './version.js';

export type RejectionRule = 'evidence-tag' | 'includeRegex' | `excludeRegex[${number}]` | 'semverOnly';

export interface SelectedTags {
  /** Lowest first, each once. */
  readonly selected: string[];
  /** Entries of `names` that the upstream does not have. */
  readonly missingNames: string[];
}

/** Selects the concrete tags of an import (docs/rules/selection.md#selection-is-pure). */
export function selectTags(upstream: Iterable<string>, selection: TagSelection): SelectedTags {
  const existing = new Set(upstream);
  const reject = rejectionRule(selection);
  const selected: string[] = [];
  for (const tag of existing) if (reject(tag) === null) selected.push(tag);
  const missingNames = [...new Set(selection.names)].filter((name) => !existing.has(name));
  return { selected: sortTags(selected), missingNames };
}

/**
 * The rule that leaves a tag out (docs/rules/selection.md#rules-apply-in-one-order); null: it is selected.
 * @throws HoubaError `PolicyInvalid` for a pattern that does not compile
 */
export function rejectionRule(selection: TagSelection): (tag: string) => RejectionRule | null {
  const names = new Set(selection.names);
  const include = selection.includeRegex === null ? null : compilePattern(selection.includeRegex);
  const excludes = selection.excludeRegex.map(compilePattern);
  return (tag) => {
    if (isEvidenceTag(tag)) return 'evidence-tag';
    if (names.has(tag)) return null;
    if (include !== null && !include.matches(tag)) return 'includeRegex';
    const excluded = excludes.findIndex((pattern) => pattern.matches(tag));
    if (excluded >= 0) return `excludeRegex[${excluded}]`;
    return selection.semverOnly && parseVersion(tag) === null ? 'semverOnly' : null;
  };
}

export interface TagSelection {
  readonly includeRegex: string | null;
  readonly excludeRegex: readonly string[];
  readonly semverOnly: boolean;
  readonly names: readonly string[];
  readonly aliases: readonly string[];
}
