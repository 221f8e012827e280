import { isTag } from '../reference.js';
import { compilePattern } from './pattern.js';
import { parseVersion, sortTags, type Version } from './version.js';

/** The form of an alias template: tag characters and `{word}` placeholders. */
export const ALIAS_TEMPLATE = /^(?:[A-Za-z0-9_]|\{[A-Za-z_]\w*\})(?:[A-Za-z0-9._-]|\{[A-Za-z_]\w*\})*$/;

export interface AliasExpansion {
  /** The tag that each alias shows, without suffix. */
  readonly aliases: Map<string, string>;
  /** Templates that no selected tag fills. */
  readonly unfilled: string[];
  /** Rendered values that are not tags, and were skipped. */
  readonly unusable: string[];
}

/** Renders aliases (docs/rules/selection.md#an-alias-shows-the-highest-of-its-group), without suffixes. */
export function expandAliases(
  templates: readonly string[],
  selected: Iterable<string>,
  includeRegex: string | null,
): Map<string, string> {
  return expandAliasTemplates(templates, selected, includeRegex).aliases;
}

/** Renders aliases, and says what was left out. */
export function expandAliasTemplates(
  templates: readonly string[],
  selected: Iterable<string>,
  includeRegex: string | null,
): AliasExpansion {
  const members = candidates(selected, includeRegex);
  const best = new Map<string, Candidate>();
  const unfilled: string[] = [];
  const unusable = new Set<string>();
  for (const template of new Set(templates)) {
    const parts = parseTemplate(template);
    let filled = false;
    for (const member of members) {
      const alias = render(parts, member);
      if (alias === null) continue;
      filled = true;
      const rival = best.get(alias);
      if (!isTag(alias)) unusable.add(alias);
      else if (rival === undefined || member.rank > rival.rank) best.set(alias, member);
    }
    if (!filled) unfilled.push(template);
  }
  const aliases = new Map<string, string>();
  for (const [alias, { tag }] of best) aliases.set(alias, tag);
  return { aliases, unfilled, unusable: [...unusable] };
}

/** Aliases that are concrete tags too (docs/rules/policy.md#a-tag-has-one-writer). */
export function aliasClashes(tags: Iterable<string>, aliases: Iterable<string>): string[] {
  const concrete = new Set(tags);
  return sortTags(new Set(aliases)).filter((alias) => concrete.has(alias));
}

interface Candidate {
  readonly tag: string;
  readonly version: Version | null;
  readonly rank: number;
  /** Named groups of the tag, matched when a template first asks. */
  groups(): ReadonlyMap<string, string>;
}

/** Ranks the selected tags, the best last. */
function candidates(selected: Iterable<string>, includeRegex: string | null): Candidate[] {
  const pattern = includeRegex === null ? null : compilePattern(includeRegex);
  const parsed = sortTags(new Set(selected)).map((tag) => ({ tag, version: parseVersion(tag) }));
  const ranked = [
    ...parsed.filter(({ version }) => version === null),
    ...parsed.filter(({ version }) => version !== null),
  ];
  return ranked.map(({ tag, version }, rank) => {
    let groups: ReadonlyMap<string, string> | undefined;
    const groupsOf = () => {
      groups ??= pattern?.groups(tag) ?? new Map<string, string>();
      return groups;
    };
    return { tag, version, rank, groups: groupsOf };
  });
}

type TemplatePart = { readonly text: string } | { readonly placeholder: string };

function parseTemplate(template: string): TemplatePart[] {
  return template
    .split(/(\{\w+\})/)
    .filter((piece) => piece !== '')
    .map((piece) =>
      piece.startsWith('{') && piece.endsWith('}') ? { placeholder: piece.slice(1, -1) } : { text: piece },
    );
}

/** Fills a template; null: a placeholder has no value. */
function render(parts: readonly TemplatePart[], candidate: Candidate): string | null {
  let alias = '';
  for (const part of parts) {
    const value = 'text' in part ? part.text : fill(part.placeholder, candidate);
    if (value === null) return null;
    alias += value;
  }
  return alias;
}

function fill(placeholder: string, { version, groups }: Candidate): string | null {
  switch (placeholder) {
    case 'major':
    case 'minor':
    case 'patch':
      return version === null ? null : version[placeholder];
    default:
      return groups().get(placeholder) ?? null;
  }
}
