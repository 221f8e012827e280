import { isEvidenceTag } from '../reference.js';
import { rejectionRule } from '../selection/select.js';
import { type DocumentIssue, formatPath } from './issues.js';
import { type ResolvedImport, resolvePolicy } from './resolve.js';
import { sampleTags } from './sample-tags.js';
import type { MirrorPolicy } from './schema.js';

/** What is known, and what is likely, of two imports that write one tag. */
export interface Overlaps {
  readonly mistakes: readonly DocumentIssue[];
  readonly warnings: readonly DocumentIssue[];
}

/**
 * Finds imports whose tags overlap at one destination, as far as the policy alone tells
 * (docs/rules/policy.md#overlaps-are-told-early).
 */
export function overlaps(policy: MirrorPolicy): Overlaps {
  const imports = resolvePolicy(policy).imports.map((entry) => ({ entry, takes: rejectionRule(entry.tags) }));
  const found = { mistakes: [] as DocumentIssue[], warnings: [] as DocumentIssue[] };
  imports.forEach((second, index) => {
    for (const [place, first] of imports.slice(0, index).entries()) {
      const shared = sharedDestination(first.entry, second.entry);
      if (shared === null) continue;
      const other = `import ${first.entry.name} (${formatPath(['spec', 'imports', place])})`;
      const tag = namedTwice(first, second) ?? namedTwice(second, first);
      const path = ['spec', 'imports', index, 'tags'];
      if (tag !== null) {
        found.mistakes.push(issue(path, `${other} writes ${shared}:${tag} as well, when the source has the tag`));
        continue;
      }
      const likely =
        bothTake(first, second) ?? namesMeet(first.entry, second.entry) ?? sharedAlias(first.entry, second.entry);
      if (likely !== null) {
        const message = `${other} is likely to write the same tags of ${shared}, such as ${likely}, which a run refuses`;
        found.warnings.push(issue(path, message));
      }
    }
  });
  return found;
}

interface Taking {
  readonly entry: ResolvedImport;
  readonly takes: (tag: string) => string | null;
}

/** An output tag of a source tag that one import names and the other one names or selects; null: none. */
function namedTwice({ entry: naming, takes: namingTakes }: Taking, { entry: other, takes }: Taking): string | null {
  const suffix = sharedSuffix(naming, other);
  if (suffix === null) return null;
  const isCounted = (name: string) => other.tags.newest != null && !other.tags.names.includes(name);
  // Evidence tags are never selected, not even by name.
  const name = naming.tags.names.find((one) => namingTakes(one) === null && takes(one) === null && !isCounted(one));
  return name === undefined ? null : name + suffix;
}

/** An output tag that two names and their suffixes come to; null: none. */
function namesMeet(first: ResolvedImport, second: ResolvedImport): string | null {
  const theirs = namedOutputs(second);
  return namedOutputs(first).find((output) => theirs.includes(output)) ?? null;
}

function namedOutputs({ tags, variants }: ResolvedImport): string[] {
  const names = tags.names.filter((name) => !isEvidenceTag(name));
  return names.flatMap((name) => variants.map(({ suffix }) => name + suffix));
}

/** A likely tag that both imports select and write with one suffix; null: none was found. */
function bothTake(first: Taking, second: Taking): string | null {
  const suffix = sharedSuffix(first.entry, second.entry);
  if (suffix === null) return null;
  const patterns = [first, second].flatMap(({ entry: { tags } }) => tags.includeRegex ?? []);
  const tag = sampleTags(patterns).find((sample) => first.takes(sample) === null && second.takes(sample) === null);
  return tag === undefined ? null : tag + suffix;
}

function sharedAlias(first: ResolvedImport, second: ResolvedImport): string | null {
  const suffix = sharedSuffix(first, second);
  const fixed = first.tags.aliases.filter((alias) => !alias.includes('{'));
  const alias = fixed.find((one) => second.tags.aliases.includes(one));
  return suffix === null || alias === undefined ? null : `the alias ${alias}${suffix}`;
}

function sharedSuffix(first: ResolvedImport, second: ResolvedImport): string | null {
  const suffixes = second.variants.map(({ suffix }) => suffix);
  return first.variants.find(({ suffix }) => suffixes.includes(suffix))?.suffix ?? null;
}

function sharedDestination(first: ResolvedImport, second: ResolvedImport): string | null {
  const theirs = second.destinations.map(keyOf);
  return first.destinations.map(keyOf).find((key) => theirs.includes(key)) ?? null;
}

function keyOf({ registry, project, repository }: ResolvedImport['destinations'][number]): string {
  return [...(registry === null ? [] : [registry]), project, repository].join('/');
}

function issue(path: DocumentIssue['path'], message: string): DocumentIssue {
  const hint = 'give the imports disjoint tags, suffixes or repositories, and anchor patterns at both ends';
  return { path, atKey: true, missing: false, message, hint };
}
