import { isTag } from '../reference.js';
import { compilePattern } from './pattern.js';
import { type ReadTag, readInOrder, streamsOf, type TagOrder } from './tag-version.js';
import { SEMVER_ORDER, sortTags } from './version.js';

/** The form of an alias template: tag characters and `{word}` placeholders. */
export const ALIAS_TEMPLATE = /^(?:[A-Za-z0-9_]|\{[A-Za-z_]\w*\})(?:[A-Za-z0-9._-]|\{[A-Za-z_]\w*\})*$/;

export interface AliasExpansion {
  /** The tag that each alias shows, without suffix. */
  readonly aliases: Map<string, string>;
  /** Aliases of several flavours, none of them plain, with the highest tag of each; refused in a run. */
  readonly undecided: ReadonlyMap<string, readonly string[]>;
  /** All tags that render to each alias. */
  readonly groups: ReadonlyMap<string, readonly string[]>;
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
  order?: TagOrder,
): Map<string, string> {
  return expandAliasTemplates(templates, selected, includeRegex, order).aliases;
}

/** Renders aliases, and says what was left out. */
export function expandAliasTemplates(
  templates: readonly string[],
  selected: Iterable<string>,
  includeRegex: string | null,
  order: TagOrder = SEMVER_ORDER,
): AliasExpansion {
  const members = candidates(selected, includeRegex, order);
  const groups = new Map<string, Candidate[]>();
  const unfilled: string[] = [];
  const unusable = new Set<string>();
  for (const template of new Set(templates)) {
    const parts = parseTemplate(template);
    let filled = false;
    for (const member of members) {
      const alias = render(parts, member);
      if (alias === null) continue;
      filled = true;
      const group = groups.get(alias);
      if (!isTag(alias)) unusable.add(alias);
      else if (group === undefined) groups.set(alias, [member]);
      else group.push(member);
    }
    if (!filled) unfilled.push(template);
  }
  const aliases = new Map<string, string>();
  const undecided = new Map<string, readonly string[]>();
  for (const [alias, group] of groups) {
    const rivals = highest(group);
    const [first, ...others] = rivals;
    if (first !== undefined && others.length === 0) aliases.set(alias, first.tag);
    else
      undecided.set(
        alias,
        rivals.map(({ tag }) => tag),
      );
  }
  return { aliases, undecided, groups: tagsOf(groups), unfilled, unusable: [...unusable] };
}

/** The highest of a group: of the plain flavour, else of each flavour; without any version, the last by text. */
function highest(group: readonly Candidate[]): Candidate[] {
  const readable = group.filter(({ version }) => version !== null);
  const plain = readable.filter(({ version }) => version?.flavour === '');
  const decisive = [plain, readable, group].find((some) => some.length > 0) ?? [];
  return streamsOf(decisive).map((stream) => stream.reduce((best, one) => (one.rank > best.rank ? one : best)));
}

function tagsOf(groups: ReadonlyMap<string, readonly Candidate[]>): Map<string, string[]> {
  return new Map([...groups].map(([alias, members]) => [alias, [...new Set(members.map(({ tag }) => tag))]]));
}

/** Aliases that are concrete tags too (docs/rules/policy.md#a-tag-has-one-writer). */
export function aliasClashes(tags: Iterable<string>, aliases: Iterable<string>): string[] {
  const concrete = new Set(tags);
  return sortTags(new Set(aliases)).filter((alias) => concrete.has(alias));
}

interface Candidate extends ReadTag {
  readonly rank: number;
  /** Named groups of the tag, matched when a template first asks. */
  groups(): ReadonlyMap<string, string>;
}

function candidates(selected: Iterable<string>, includeRegex: string | null, order: TagOrder): Candidate[] {
  const pattern = includeRegex === null ? null : compilePattern(includeRegex);
  return readInOrder(order, new Set(selected)).map(({ tag, version }, rank) => {
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
  const place = ['major', 'minor', 'patch'].indexOf(placeholder);
  if (place < 0) return groups().get(placeholder) ?? null;
  return version === null ? null : (version.written ?? version.numbers)[place] || null;
}
