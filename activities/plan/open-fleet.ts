import type { FleetInput, PolicySource } from '../../domain/durable/messages.js';
import { HoubaError } from '../../domain/errors.js';
import { checkPolicy } from '../../domain/policy/check.js';
import { destinationsOf } from '../../domain/policy/destinations.js';
import { formatPath } from '../../domain/policy/issues.js';
import { repositoryClashes, shardOf } from '../../domain/policy/ownership.js';
import { resolvePolicy } from '../../domain/policy/resolve.js';
import { formatRepository } from '../../domain/reference.js';
import type { Roster } from '../../domain/roster.js';
import { nearest } from '../../domain/text/nearest.js';
import type { Dependencies } from '../dependencies.js';
import { step } from '../step.js';

/** A checked fleet: the policies of this shard, and all policies where the worker read them. */
export interface OpenedFleet {
  readonly own: readonly string[];
  readonly policies: readonly PolicySource[] | null;
  /** The worker's folder, where all its policies were read from it; left out: they came with the input. */
  readonly folder?: string;
  /** `HOUBA_DRY_RUN_TAGS` or `HOUBA_DRY_RUN_DELETIONS` on the worker. */
  readonly dryRun: boolean;
  readonly concurrency: number;
}

/**
 * Loads the policies and checks them as a set (docs/rules/policy.md#a-repository-belongs-to-one-policy); no registry is
 * read. @throws HoubaError `ConfigInvalid`, `PolicyInvalid`
 */
export function createOpenFleet(deps: Dependencies) {
  return step(async (input: FleetInput): Promise<OpenedFleet> => {
    const policies = input.policies ?? (await deps.readPolicies(policyDir(deps)));
    const checked = policies.map(recheckPolicy);
    checkNames(checked);
    checkOwnership(checked, deps.roster);
    checkOnly(checked, input.only);
    const own = checked
      .map(({ policy }) => policy.metadata.name)
      .filter((name) => shardOf(name, input.shard.count) === input.shard.index)
      .filter((name) => input.only === null || name === input.only);
    const dryRun = deps.settings.dryRunTags || deps.settings.dryRunDeletions;
    deps.journal.event('run.started', {
      policy_count: own.length,
      mode: dryRun || input.options.dryRun ? 'dry-run' : 'apply',
    });
    return {
      own,
      ...(input.policies === null ? { policies: checked, folder: policyDir(deps) } : { policies: null }),
      dryRun,
      concurrency: input.options.concurrency ?? deps.settings.maxConcurrency,
    };
  });
}

function policyDir({ settings }: Dependencies): string {
  if (settings.policyDir !== null) return settings.policyDir;
  throw new HoubaError('ConfigInvalid', 'a run without policies reads POLICY_DIR on the worker, which is not set');
}

/** Checks a policy again: it may have come from any client. */
function recheckPolicy({ file, policy }: PolicySource): PolicySource {
  const read = checkPolicy(policy);
  if (read.policy !== null && read.issues.length === 0) return { file, policy: read.policy };
  const told = read.issues.map((issue) => `${file}: ${formatPath(issue.path)}: ${issue.message}`);
  throw new HoubaError('PolicyInvalid', told.join('\n'));
}

function checkNames(policies: readonly PolicySource[]): void {
  const files = new Map<string, string>();
  for (const { file, policy } of policies) {
    const { name } = policy.metadata;
    const other = files.get(name);
    if (other !== undefined) throw new HoubaError('PolicyInvalid', `${file}: the name ${name} is taken by ${other}`);
    files.set(name, file);
  }
}

function checkOwnership(policies: readonly PolicySource[], roster: Roster): void {
  const entries = policies.flatMap(({ policy }) => {
    const resolved = resolvePolicy(policy);
    return destinationsOf(resolved, roster).map((repository) => ({
      policy: resolved.name,
      repository: formatRepository(repository),
    }));
  });
  const clashes = repositoryClashes(entries);
  if (clashes.length === 0) return;
  const told = clashes.map(({ repository, policies: names }) => `${repository} is written by ${names.join(' and ')}`);
  throw new HoubaError('PolicyInvalid', told.join('; '), {
    hint: 'let one policy write to each repository: two would remove each other’s tags',
  });
}

function checkOnly(policies: readonly PolicySource[], only: string | null): void {
  const names = policies.map(({ policy }) => policy.metadata.name);
  if (only === null || names.includes(only)) return;
  const meant = nearest(only, names);
  const hint = { hint: meant === null ? `the set has: ${names.join(', ') || 'none'}` : `did you mean ${meant}?` };
  throw new HoubaError('ConfigInvalid', `no policy is named ${JSON.stringify(only)}`, hint);
}
