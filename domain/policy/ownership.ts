import { sha256 } from '@noble/hashes/sha2.js';
import { utf8ToBytes } from '@noble/hashes/utils.js';
import { compareText } from '../text/compare-text.js';

/** A repository that policies of different names write to. */
export interface RepositoryClash {
  readonly repository: string;
  readonly policies: readonly string[];
}

/** Finds such repositories, before sharding (docs/rules/policy.md#a-repository-belongs-to-one-policy). */
export function repositoryClashes(
  entries: Iterable<{ readonly policy: string; readonly repository: string }>,
): RepositoryClash[] {
  const owners = new Map<string, Set<string>>();
  for (const { policy, repository } of entries) {
    owners.set(repository, (owners.get(repository) ?? new Set()).add(policy));
  }
  return [...owners]
    .filter(([, policies]) => policies.size > 1)
    .map(([repository, policies]) => ({ repository, policies: [...policies].sort(compareText) }))
    .sort((a, b) => compareText(a.repository, b.repository));
}

export interface TagCollision {
  readonly repository: string;
  readonly tag: string;
  readonly writers: readonly string[];
}

/** Finds aliases with several targets (docs/rules/policy.md#a-tag-has-one-writer). */
export function aliasCollisions(
  entries: Iterable<{ readonly repository: string; readonly alias: string; readonly target: string }>,
): TagCollision[] {
  return collisions(
    Array.from(entries, ({ repository, alias, target }) => ({ repository, tag: alias, writer: target })),
  );
}

/** Finds tags with several writers, an import and variant each (docs/rules/policy.md#a-tag-has-one-writer). */
export function outputCollisions(
  entries: Iterable<{ readonly repository: string; readonly tag: string; readonly writer: string }>,
): TagCollision[] {
  return collisions(entries);
}

/** Assigns a policy to a shard (docs/rules/policy.md#shards-go-by-the-hash-of-the-name). */
export function shardOf(name: string, count: number): number {
  let value = 0n;
  for (const byte of sha256(utf8ToBytes(name)).subarray(0, 8)) value = (value << 8n) | BigInt(byte);
  return Number(value % BigInt(count));
}

function collisions(
  entries: Iterable<{ readonly repository: string; readonly tag: string; readonly writer: string }>,
): TagCollision[] {
  const written = new Map<string, { repository: string; tag: string; writers: string[] }>();
  for (const { repository, tag, writer } of entries) {
    const key = `${repository}:${tag}`;
    const known = written.get(key);
    if (known === undefined) written.set(key, { repository, tag, writers: [writer] });
    else known.writers.push(writer);
  }
  return [...written.values()]
    .filter(({ writers }) => writers.length > 1)
    .sort((a, b) => compareText(a.repository, b.repository) || compareText(a.tag, b.tag));
}
