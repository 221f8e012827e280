import { HoubaError } from '../errors.js';
import { aliasCollisions, outputCollisions, type TagCollision } from '../policy/ownership.js';
import type { ResolvedImport, ResolvedPolicy } from '../policy/resolve.js';
import { formatRepository, parseRepository } from '../reference.js';
import { destinationByName, destinationRepository, type Roster } from '../roster.js';
import { aliasClashes, expandAliasTemplates } from '../selection/aliases.js';
import { orderOf } from '../selection/order.js';
import { selectTags } from '../selection/select.js';
import type { Target, TargetVariant } from './plan.js';

/**
 * Expands a policy over the tags of its source.
 * @throws HoubaError `PolicyInvalid` for two writers of a tag (docs/rules/policy.md#a-tag-has-one-writer), an alias
 * of several flavours, or a source that is a destination, `ConfigInvalid` for an unknown registry, or one that is only a source
 */
export function expandTargets(
  policy: ResolvedPolicy,
  upstream: readonly string[],
  roster: Roster,
  fallbackMode: 'purge' | 'mark',
): Target[] {
  const targets = policy.imports.flatMap((entry) => {
    const variants = expandImport(policy.name, entry, upstream);
    return entry.destinations.map(({ registry, project, repository }): Target => {
      const host = destinationByName(roster, registry);
      return {
        repository: destinationRepository(host, project, repository),
        registry: host.name,
        import: entry,
        deletionMode: policy.deletionMode ?? host.deletionMode ?? fallbackMode,
        variants,
      };
    });
  });
  refuseItself(policy, targets);
  refuseCollisions(policy, targets);
  return targets;
}

/** Refuses a source that is also a destination (docs/rules/policy.md#a-source-is-no-destination). */
function refuseItself(policy: ResolvedPolicy, targets: readonly Target[]): void {
  const source = formatRepository(parseRepository(policy.source.registry, policy.source.repository));
  if (!targets.some((target) => formatRepository(target.repository) === source)) return;
  throw new HoubaError('PolicyInvalid', `policy ${policy.name}: ${source} is source and destination at once`, {
    hint: 'mirror it to another repository',
  });
}

/** Expands tags and aliases without suffixes, the same for every variant. */
function expandImport(policy: string, entry: ResolvedImport, upstream: readonly string[]): TargetVariant[] {
  const { selected } = selectTags(upstream, entry.tags);
  const { aliases, undecided } = expandAliasTemplates(
    entry.tags.aliases,
    selected,
    entry.tags.includeRegex,
    orderOf(entry.tags),
  );
  for (const [alias, tags] of undecided) {
    const some = tags.slice(0, 3).join(', ');
    throw new HoubaError('PolicyInvalid', `policy ${policy}: alias ${alias} has several flavours: ${some}`, {
      hint: 'write the flavour into the alias, from a named group of includeRegex, or leave the others out',
    });
  }
  return entry.variants.map((variant) => ({ variant, selected, aliases }));
}

function refuseCollisions(policy: ResolvedPolicy, targets: readonly Target[]): void {
  const concrete: { repository: string; tag: string; writer: string }[] = [];
  const aliased: { repository: string; alias: string; target: string }[] = [];
  for (const { repository, import: entry, variants } of targets) {
    const name = formatRepository(repository);
    for (const { variant, selected, aliases } of variants) {
      const writer = `${entry.name}/${variant.name}`;
      for (const tag of selected) concrete.push({ repository: name, tag: tag + variant.suffix, writer });
      for (const [alias, target] of aliases) {
        aliased.push({
          repository: name,
          alias: alias + variant.suffix,
          target: `${target + variant.suffix} of ${writer}`,
        });
      }
    }
  }
  const problems = [
    ...outputCollisions(concrete).map((collision) => describe('tag', collision)),
    ...aliasCollisions(aliased).map((collision) => describe('alias', collision)),
    ...clashes(concrete, aliased),
  ];
  if (problems.length === 0) return;
  throw new HoubaError('PolicyInvalid', `policy ${policy.name}: ${problems.slice(0, 10).join('; ')}`, {
    hint: 'give the imports disjoint tags, suffixes or repositories, and anchor patterns at both ends',
  });
}

function describe(what: string, { repository, tag, writers }: TagCollision): string {
  return `${what} ${repository}:${tag} has several writers: ${writers.join(', ')}`;
}

function clashes(
  concrete: readonly { repository: string; tag: string }[],
  aliased: readonly { repository: string; alias: string }[],
): string[] {
  return [...new Set(aliased.map(({ repository }) => repository))].flatMap((repository) => {
    const tags = concrete.filter((entry) => entry.repository === repository).map(({ tag }) => tag);
    const aliases = aliased.filter((entry) => entry.repository === repository).map(({ alias }) => alias);
    return aliasClashes(tags, aliases).map((tag) => `alias ${repository}:${tag} is also a selected tag`);
  });
}
