import pLimit from 'p-limit';
import type { Digest } from '../domain/digest.js';
import type {
  DestinationRepository,
  PlannedDeletion,
  PlannedMark,
  PlannedOperation,
  PlanRequest,
} from '../domain/durable/placement.js';
import { removalKey, removalOperation } from '../domain/durable/removal.js';
import type { PolicyPlan, Target } from '../domain/plan/plan.js';
import { type MassDeletion, planRemovals, type RemovalPlan } from '../domain/plan/removals.js';
import type { SeenRepository } from '../domain/plan/survey.js';
import type { ResolvedPolicy } from '../domain/policy/resolve.js';
import { formatPinned, formatRepository } from '../domain/reference.js';
import { HoubaError, type ReportedError, reportError } from '../domain/report/errors.js';
import type { Dependencies } from './dependencies.js';
import { readMarksOn } from './marks.js';

/** What a plan of removals is made from. */
export interface RemovalSurvey {
  readonly policy: ResolvedPolicy;
  readonly targets: readonly Target[];
  readonly seen: ReadonlyMap<string, SeenRepository>;
  readonly plan: PolicyPlan;
}

/**
 * Plans deletions and marks. The marks of what would go are read again, for other workers write marks too: a tag that has its
 * mark is not told again, nor one deleted that somebody restored.
 *
 * @param width requests in flight
 */
export async function surveyRemovals(
  deps: Dependencies,
  { policy, targets, seen, plan }: RemovalSurvey,
  { options, now }: PlanRequest,
  width: number,
  signal: AbortSignal,
): Promise<RemovalPlan> {
  const { prefix, retention, maxDeletionShare } = deps.settings;
  const settings = { prefix, retention, now, maxDeletionShare: options.allowMassDeletion ? 1 : maxDeletionShare };
  const placed = plan.tags.filter(({ kind }) => kind === 'import' || kind === 'update' || kind === 'restamp');
  const guess = planRemovals(policy, targets, placed, seen, settings);
  const fresh = await readMarksAgain(deps, guess, targets, seen, width, signal);
  const removals = fresh === seen ? guess : planRemovals(policy, targets, placed, fresh, settings);
  for (const { target, digest } of removals.marks) forgetMarks(deps, repositoryAt(targets, target), digest);
  return removals;
}

async function readMarksAgain(
  deps: Dependencies,
  { deletions, marks }: RemovalPlan,
  targets: readonly Target[],
  seen: ReadonlyMap<string, SeenRepository>,
  width: number,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, SeenRepository>> {
  const doubtful = new Map<string, { name: string; target: number; digest: Digest }>();
  for (const { target, digest } of [...deletions, ...marks.filter(({ kind }) => kind === 'set')]) {
    const repository = repositoryAt(targets, target);
    doubtful.set(formatPinned(repository, digest), { name: formatRepository(repository), target, digest });
  }
  if (doubtful.size === 0) return seen;
  const fresh = new Map([...seen].map(([name, found]) => [name, { ...found, marks: new Map(found.marks) }]));
  const limit = pLimit(width);
  const look = async ({ name, target, digest }: { name: string; target: number; digest: Digest }) => {
    fresh.get(name)?.marks.set(digest, await readMarksOn(deps, repositoryAt(targets, target), digest, signal));
  };
  await Promise.all([...doubtful.values()].map((one) => limit(look, one)));
  return fresh;
}

/** Another worker may carry out what this one plans: the next survey looks for itself. */
function forgetMarks({ memory }: Dependencies, repository: DestinationRepository, digest: Digest): void {
  const known = memory.facts(repository, digest);
  if (known !== undefined) memory.rememberFacts(repository, digest, { ...known, marks: null });
}

/** The removals of one page, and what it merely says of them. */
export interface RemovalPage {
  readonly reported: readonly PlannedOperation[];
  readonly deletions: readonly PlannedDeletion[];
  /** Those that are made first, then those that are cleared. */
  readonly marks: readonly PlannedMark[];
  /** Repositories of which nothing is deleted or newly marked in this run. */
  readonly refused: readonly string[];
}

/** @param dryRun says what would be deleted and marked, on the first page */
export function pageRemovals(
  plan: RemovalPlan,
  targets: readonly Target[],
  request: PlanRequest,
  dryRun: boolean,
): RemovalPage {
  const told = new Set(request.refused ?? []);
  const mass = new Map(plan.massDeletions.map((entry) => [entry.repository, entry]));
  const refused = new Set([...told, ...mass.keys()]);
  const nameOf = (target: number) => formatRepository(repositoryAt(targets, target));
  const failed = new Set(request.failed);
  const position = (target: number) => ({ target, variant: null });

  const deletions = plan.deletions.map(({ target, ...deletion }): PlannedDeletion => {
    return { ...deletion, position: position(target), destination: repositoryAt(targets, target) };
  });
  const marks = plan.marks.map(({ target, ...mark }): PlannedMark => {
    return { ...mark, position: position(target), destination: repositoryAt(targets, target) };
  });
  const takesAway = [...deletions, ...marks.filter(({ kind }) => kind === 'set')];
  const reported = takesAway.flatMap((one): PlannedOperation[] => {
    const name = nameOf(one.position.target);
    const entry = mass.get(name);
    if (entry === undefined || told.has(name)) return [];
    return [{ position: one.position, operation: { ...removalOperation(one), error: massError(entry) } }];
  });
  const allowed = ({ position: { target } }: PlannedDeletion | PlannedMark) => !refused.has(nameOf(target));
  const made = marks.filter((mark) => mark.put !== null && (mark.kind !== 'set' || allowed(mark)));
  const page = {
    deletions: deletions.filter(allowed),
    marks: [...bySelectionFirst(made), ...marks.filter(({ put }) => put === null)],
  };
  if (dryRun) {
    const planned = request.first ? [...page.deletions, ...made] : [];
    const operations = planned.map((one) => ({ position: one.position, operation: removalOperation(one) }));
    return { reported: [...reported, ...operations], deletions: [], marks: [], refused: [...refused] };
  }
  const isOpen = (one: PlannedDeletion | PlannedMark) => !failed.has(removalKey(one));
  return {
    reported,
    deletions: page.deletions.filter(isOpen),
    marks: page.marks.filter(isOpen),
    refused: [...refused],
  };
}

/** The stages of section 5: what left the selection before what is in surplus. */
function bySelectionFirst(marks: readonly PlannedMark[]): PlannedMark[] {
  const isSelection = ({ put }: PlannedMark) => put?.reason === 'dropped-from-selection';
  return [...marks.filter(isSelection), ...marks.filter((mark) => !isSelection(mark))];
}

/** More than the cap allows is an error, and nothing of it is done (L4). */
function massError({ repository, unwanted, managed }: MassDeletion): ReportedError {
  return reportError(
    new HoubaError(
      'PreconditionFailed',
      `${unwanted} of ${managed} managed tags of ${repository} would be deleted or newly marked, ` +
        'more than one run may take away',
      { hint: 'see whether the policy means it, then use --allow-mass-deletion, or raise HOUBA_MAX_DELETION_SHARE' },
    ),
  );
}

function repositoryAt(targets: readonly Target[], index: number): DestinationRepository {
  const { registry, repository } = targets[index] as Target;
  return { registry, host: repository.host, path: repository.path };
}
