import { isTag } from '../reference.js';
import { aliasClashes, expandAliasTemplates } from '../selection/aliases.js';
import { explainDecisions } from '../selection/explain-decisions.js';
import { orderOf } from '../selection/order.js';
import { compilePattern } from '../selection/pattern.js';
import { decideTags, type RejectionRule, selectTags } from '../selection/select.js';
import { sortByOrder, type TagOrder } from '../selection/tag-version.js';
import { textDecision } from '../selection/text-decision.js';
import type { ResolvedImport } from './resolve.js';

/** What `policy test` shows of an import, without suffixes (docs/rules/selection.md#rules-apply-in-one-order). */
export interface ImportExplanation {
  readonly name: string;
  readonly variants: readonly { readonly name: string; readonly suffix: string }[];
  readonly selected: readonly string[];
  readonly rejected: readonly { readonly tag: string; readonly rule: RejectionRule }[];
  /** Why tags are in or out, where `order`, `finalsOnly`, `semverRange` or `newest` are written. */
  readonly reasons?: Readonly<Record<string, string>>;
  readonly aliases: Readonly<Record<string, string>>;
  readonly warnings: readonly string[];
}

export function explainSelection(entry: ResolvedImport, upstream: Iterable<string>): ImportExplanation {
  const existing = new Set(upstream);
  const { tags: selection, variants } = entry;
  const order = orderOf(selection);
  const { selected, missingNames } = selectTags(existing, selection);
  const decisions = decideTags(existing, selection);
  const rejected = sortByOrder(order, existing).flatMap((tag) => {
    const rule = decisions.get(tag)?.rule ?? null;
    return rule === null ? [] : [{ tag, rule }];
  });
  const { aliases, undecided, groups, unfilled, unusable } = expandAliasTemplates(
    selection.aliases,
    selected,
    selection.includeRegex,
    order,
  );
  const reasons = explainDecisions(selection, decisions);
  const warnings = [
    ...(selected.length === 0 ? ['no tag is selected'] : []),
    ...missingNames.map((name) => `names: the source has no tag ${JSON.stringify(name)}`),
    ...unanchoredWarning(entry, selected),
    ...(selected.length === 0 ? [] : idleExclusions(entry, existing)),
    ...(selected.length === 0 ? [] : unfilled.map((template) => `aliases: no selected tag fills ${template}`)),
    ...[...undecided].flatMap(([alias, tags]) =>
      about(
        tags,
        (some) =>
          `aliases: ${alias} has several flavours, which a run refuses: ${some}; write the flavour into the alias, ` +
          'from a named group of includeRegex, or leave the others out',
      ),
    ),
    ...textWarnings(order, aliases, groups),
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
    ...(reasons !== null && { reasons }),
    aliases: Object.fromEntries(aliases),
    warnings,
  };
}

/** Warns where text order looks like an order of numbers (docs/rules/selection.md#text-that-looks-like-numbers-is-told). */
function textWarnings(
  order: TagOrder,
  aliases: ReadonlyMap<string, string>,
  groups: ReadonlyMap<string, readonly string[]>,
): string[] {
  return [...aliases].flatMap(([alias, shown]) => {
    const decision = textDecision(order, shown, groups.get(alias) ?? []);
    if (decision === null) return [];
    const higher = `${decision.higher} has the higher number`;
    return [
      `aliases: ${alias} shows ${shown}, which is decided by text, although ${higher}; order: ${decision.order} would do`,
    ];
  });
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
