import type { Digest } from '../../domain/digest.js';
import type { PolicySource } from '../../domain/durable/messages.js';
import { HoubaError } from '../../domain/errors.js';
import { formatInstant } from '../../domain/instant.js';
import type { Mark, PlacedMark } from '../../domain/lifecycle/mark.js';
import { wantedTags } from '../../domain/plan/plan.js';
import { planRemovals } from '../../domain/plan/removals.js';
import { expandTargets } from '../../domain/plan/targets.js';
import { destinationsOf } from '../../domain/policy/destinations.js';
import { type ResolvedPolicy, resolvePolicy } from '../../domain/policy/resolve.js';
import { formatRepository, parseRepository } from '../../domain/reference.js';
import type { DestinationRepository } from '../../domain/roster.js';
import type { RecordedStamp } from '../../domain/stamp/annotations.js';
import type { Dependencies } from '../dependencies.js';
import type { RepositoryAt } from '../repository/repository-at.js';
import { listSourceTags, surveyDestination } from '../repository/survey.js';

interface MarkedImage {
  readonly tag: string;
  readonly digest: Digest;
  readonly stamp: RecordedStamp;
  readonly marks: readonly PlacedMark[];
  readonly mark: Mark;
}

/** Whether a policy of `POLICY_DIR` wants a marked tag. Without policies no: a run that wants it clears the mark. */
export async function isWanted(
  deps: Dependencies,
  at: RepositoryAt<DestinationRepository>,
  image: MarkedImage,
): Promise<boolean | { readonly unknown: string }> {
  const { policyDir } = deps.settings;
  if (policyDir === null) return false;
  try {
    for (const source of await deps.readPolicies(policyDir)) {
      if (await wants(deps, source, at, image)) return true;
    }
    return false;
  } catch (error) {
    at.signal.throwIfAborted();
    if (!(error instanceof HoubaError) || error.code === 'RateLimited' || error.code === 'RegistryUnavailable') {
      throw error;
    }
    return { unknown: error.message };
  }
}

async function wants(
  deps: Dependencies,
  { policy: written }: PolicySource,
  { repository: destination, signal }: RepositoryAt<DestinationRepository>,
  image: MarkedImage,
): Promise<boolean> {
  const policy = resolvePolicy(written);
  if (!writesTo(deps, policy, destination)) return false;
  const { prefix, deletionMode, retention, maxConcurrency } = deps.settings;
  const upstream = await listSourceTags(
    deps.reader,
    parseRepository(policy.source.registry, policy.source.repository),
    signal,
  );
  const targets = expandTargets(policy, upstream, deps.roster, deletionMode);
  const name = formatRepository(destination);
  const here = targets.filter((target) => formatRepository(target.repository) === name);
  const selected = here.some((target) => wantedTags(target).includes(image.tag));
  if (image.mark.reason !== 'retention-excess') return selected;
  if (!selected) return false;
  const looking = { signal, width: maxConcurrency, onTag: () => {} };
  const seen = await surveyDestination(deps, destination, { needsSbom: false, recheck: false }, looking);
  // This worker's memory may lack a mark that another one made.
  const marks = new Map([[image.digest, image.marks]]);
  const settings = { prefix, retention, maxDeletionShare: 1, now: formatInstant(Date.now()) };
  const plan = planRemovals(policy, targets, [], new Map([[name, { ...seen, marks }]]), settings);
  return plan.marks.some(({ tag, put }) => tag === image.tag && put === null);
}

function writesTo(deps: Dependencies, policy: ResolvedPolicy, repository: DestinationRepository): boolean {
  const name = formatRepository(repository);
  return destinationsOf(policy, deps.roster).some((one) => formatRepository(one) === name);
}
