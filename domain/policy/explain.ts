import { isTag } from '../reference.js';
import { aliasClashes, expandAliasTemplates } from '../selection/aliases.js';
import { compilePattern } from '../selection/pattern.js';
import { type RejectionRule, rejectionRule, selectTags } from '../selection/select.js';
import { sortTags } from '../selection/version.js';
import type { ResolvedImport } from './resolve.js';

/** What `policy test` shows of an import, without suffixes (docs/rules/selection.md#rules-apply-in-one-order). */
export interface ImportExplanation {
  readonly name: string;
  readonly variants: readonly { readonly name: string; readonly suffix: string }[];
  readonly selected: readonly string[];
  readonly rejected: readonly { readonly tag: string; readonly rule: RejectionRule }[];
  readonly aliases: Readonly<Record<string, string>>;
  readonly warnings: readonly string[];
}

export function explainSelection(entry: ResolvedImport, upstream: Iterable<string>): ImportExplanation {
  const existing = new Set(upstream);
  const { tags: selection, variants } = entry;
  const { selected, missingNames } = selectTags(existing, selection);
  const reject = rejectionRule(selection);
  const rejected: { tag: string; rule: RejectionRule }[] = [];
  for (const tag of sortTags(existing)) {
    const rule = reject(tag);
    if (rule !== null) rejected.push({ tag, rule });
  }
  const { aliases, unfilled, unusable } = expandAliasTemplates(selection.aliases, selected, selection.includeRegex);
  const warnings = [
    ...(selected.length === 0 ? ['no tag is selected'] : []),
    ...missingNames.map((name) => `names: the source has no tag ${JSON.stringify(name)}`),
    ...unanchoredWarning(entry, selected),
    ...(selected.length === 0 ? [] : idleExclusions(entry, existing)),
    ...(selected.length === 0 ? [] : unfilled.map((template) => `aliases: no selected tag fills ${template}`)),
    ...about(unusable, (some) => `aliases: skipped, because they are no tags: ${some}`),
    ...about(
      aliasClashes(outputs(variants, selected), outputs(variants, aliases.keys())),
      (some) =>
        `aliases: also selected tags, which a run refuses: ${some}; anchor includeRegex or change the templates`,
    ),
    ...suffixWarnings(entry, [...selected, ...aliases.keys()]),
  ];
  return {
    name: entry.name,
    variants: variants.map(({ name, suffix }) => ({ name, suffix })),
    selected,
    rejected,
    aliases: Object.fromEntries(aliases),
    warnings,
  };
}

function outputs(variants: ResolvedImport['variants'], tags: Iterable<string>): string[] {
  return Array.from(tags).flatMap((tag) => variants.map(({ suffix }) => tag + suffix));
}

const STARTS_ANCHORED = /^(?:\(\?[a-zA-Z]+\)|\((?:\?:|\?P?<\w+>|\?[a-zA-Z]+:)?)*(?:\^|\\A)/;
const ENDS_ANCHORED = /(?:(?:^|[^\\])(?:\\\\)*\$|\\z)\)*$/;

/** Warns about a pattern without anchors: `7.2` also finds `7.2.5-alpine`. */
function unanchoredWarning({ tags: { includeRegex, names } }: ResolvedImport, selected: readonly string[]): string[] {
  if (includeRegex === null || STARTS_ANCHORED.test(includeRegex) || ENDS_ANCHORED.test(includeRegex)) return [];
  const pattern = compilePattern(includeRegex);
  const named = new Set(names);
  const suffixed = selected.filter((tag) => {
    const end = pattern.endOfMatch(tag);
    return end >= 0 && !named.has(tag) && /[-_]/.test(tag.slice(end));
  });
  return about(
    suffixed,
    (some) =>
      `includeRegex ${JSON.stringify(includeRegex)} is anchored at neither end and lets suffixed tags in: ${some}; ` +
      'anchor it with ^ and $, or leave them out with excludeRegex',
  );
}

/** Warns about exclusions that match no tag which `includeRegex` lets in. */
function idleExclusions({ tags: { includeRegex, excludeRegex } }: ResolvedImport, tags: ReadonlySet<string>): string[] {
  const included = includeRegex === null ? null : compilePattern(includeRegex);
  const candidates = [...tags].filter((tag) => included?.matches(tag) ?? true);
  return excludeRegex.flatMap((source, index) => {
    const pattern = compilePattern(source);
    if (candidates.some((tag) => pattern.matches(tag))) return [];
    return [`excludeRegex[${index}] ${JSON.stringify(source)} leaves out nothing`];
  });
}

function suffixWarnings({ variants }: ResolvedImport, tags: readonly string[]): string[] {
  return variants.flatMap(({ name, suffix }) => {
    const broken = tags.find((tag) => !isTag(tag + suffix));
    return broken === undefined ? [] : [`variants: ${name}: ${broken}${suffix} is too long for a tag`];
  });
}

function about(tags: readonly string[], say: (some: string) => string): string[] {
  if (tags.length === 0) return [];
  const examples = tags
    .slice(0, 3)
    .map((tag) => tag || '""')
    .join(', ');
  return [say(tags.length > 3 ? `${examples} and ${tags.length - 3} more` : examples)];
}
