import pLimit from 'p-limit';
import type { Digest } from '../../domain/digest.js';
import { destinationOf, recordedSource } from '../../domain/plan/placements.js';
import { type PolicyPlan, type Target, wantedTags } from '../../domain/plan/plan.js';
import { planRemovals, type RemovalPlan } from '../../domain/plan/removals.js';
import type { PlanRequest } from '../../domain/plan/request.js';
import type { SeenRepository } from '../../domain/plan/survey.js';
import { expandTargets } from '../../domain/plan/targets.js';
import type { ResolvedPolicy } from '../../domain/policy/resolve.js';
import { formatPinned, formatRepository, formatTagged, type Repository } from '../../domain/reference.js';
import type { DestinationRepository } from '../../domain/roster.js';
import type { Dependencies } from '../dependencies.js';
import { repositoryAt } from '../repository/repository-at.js';

interface RemovalSurvey {
  readonly policy: ResolvedPolicy;
  readonly targets: readonly Target[];
  readonly seen: ReadonlyMap<string, SeenRepository>;
  readonly plan: PolicyPlan;
  readonly from: Repository;
  readonly listed: readonly string[];
}

interface Looking {
  readonly width: number;
  readonly signal: AbortSignal;
}

/** Plans deletions and marks after reading the marks again, which other workers write as well. */
export async function surveyRemovals(
  deps: Dependencies,
  survey: RemovalSurvey,
  { options, now }: PlanRequest,
  looking: Looking,
): Promise<RemovalPlan> {
  const { policy, targets, seen, plan } = survey;
  const { prefix, retention, maxDeletionShare } = deps.settings;
  const settings = { prefix, retention, now, maxDeletionShare: options.allowMassDeletion ? 1 : maxDeletionShare };
  const placed = plan.tags.filter(({ kind }) => kind === 'import' || kind === 'update' || kind === 'restamp');
  const guess = planRemovals(policy, targets, placed, seen, settings);
  const fresh = await readMarksAgain(deps, survey, guess, looking);
  const removals = fresh === seen ? guess : planRemovals(policy, targets, placed, fresh, settings);
  for (const { target, digest } of removals.marks) forgetMarks(deps, destinationOf(targets, target), digest);
  return { ...removals, unlisted: await findUnlisted(deps, survey, removals, looking) };
}

/** Finds tags that the source serves and does not list: one HEAD for each that would stay if it were listed. */
async function findUnlisted(
  { reader, roster, settings }: Dependencies,
  { policy, targets, seen, from, listed }: RemovalSurvey,
  { deletions, marks }: RemovalPlan,
  { width, signal }: Looking,
): Promise<Set<string>> {
  const known = new Set(listed);
  const suspects = new Map<string, string>();
  for (const { target, tag } of [...deletions, ...marks.filter(({ kind }) => kind === 'set')]) {
    const repository = destinationOf(targets, target);
    const stamp = seen.get(formatRepository(repository))?.tags.get(tag ?? '')?.stamp ?? null;
    const origin = recordedSource({ recorded: stamp });
    if (tag === null || origin?.tag == null || known.has(origin.tag)) continue;
    if (formatRepository(origin) === formatRepository(from)) suspects.set(formatTagged(repository, tag), origin.tag);
  }
  if (suspects.size === 0) return new Set();
  const hopeful = expandTargets(policy, [...listed, ...suspects.values()], roster, settings.deletionMode);
  const wanted = new Set(hopeful.flatMap((one) => wantedTags(one).map((tag) => formatTagged(one.repository, tag))));
  const limit = pLimit(width);
  const unlisted = new Set<string>();
  const look = async ([name, tag]: [string, string]) => {
    if ((await reader.headListed(from, tag, signal)) !== null) unlisted.add(name);
  };
  await Promise.all([...suspects].filter(([name]) => wanted.has(name)).map((one) => limit(look, one)));
  return unlisted;
}

async function readMarksAgain(
  deps: Dependencies,
  { targets, seen }: RemovalSurvey,
  { deletions, marks }: RemovalPlan,
  { width, signal }: Looking,
): Promise<ReadonlyMap<string, SeenRepository>> {
  const doubtful = new Map<string, { name: string; target: number; digest: Digest }>();
  for (const { target, digest } of [...deletions, ...marks.filter(({ kind }) => kind === 'set')]) {
    const repository = destinationOf(targets, target);
    doubtful.set(formatPinned(repository, digest), { name: formatRepository(repository), target, digest });
  }
  if (doubtful.size === 0) return seen;
  const fresh = new Map([...seen].map(([name, found]) => [name, { ...found, marks: new Map(found.marks) }]));
  const limit = pLimit(width);
  const look = async ({ name, target, digest }: { name: string; target: number; digest: Digest }) => {
    fresh.get(name)?.marks.set(digest, await repositoryAt(deps, destinationOf(targets, target), signal).marks(digest));
  };
  await Promise.all([...doubtful.values()].map((one) => limit(look, one)));
  return fresh;
}

/** Drops remembered marks: another worker may carry out what this one plans. */
function forgetMarks({ memory }: Dependencies, repository: DestinationRepository, digest: Digest): void {
  const known = memory.facts(repository, digest);
  if (known !== undefined) memory.rememberFacts(repository, digest, { ...known, marks: null });
}
