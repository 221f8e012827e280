import { HoubaError, type ReportedError, reportError } from '../errors.js';
import { formatRepository } from '../reference.js';
import type { PlannedOperation } from '../report/run/position.js';
import { destinationOf } from './placements.js';
import type { Target } from './plan.js';
import { removalKey, removalOperation } from './planned-operations.js';
import type { MassDeletion, RemovalPlan } from './removals.js';
import type { PlanRequest } from './request.js';
import type { PlannedDeletion, PlannedMark } from './work.js';

export interface RemovalPage {
  readonly reported: readonly PlannedOperation[];
  readonly deletions: readonly PlannedDeletion[];
  readonly marks: readonly PlannedMark[];
  readonly refused: readonly string[];
}

export function pageRemovals(
  plan: RemovalPlan,
  targets: readonly Target[],
  request: PlanRequest,
  dryRun: boolean,
): RemovalPage {
  const told = new Set(request.refused ?? []);
  const mass = new Map(plan.massDeletions.map((entry) => [entry.repository, entry]));
  const refused = new Set([...told, ...mass.keys()]);
  const nameOf = (target: number) => formatRepository(destinationOf(targets, target));
  const failed = new Set(request.failed);
  const position = (target: number) => ({ target, variant: null });

  const deletions = plan.deletions.map(({ target, ...deletion }): PlannedDeletion => {
    return { ...deletion, position: position(target), destination: destinationOf(targets, target) };
  });
  const marks = plan.marks.map(({ target, ...mark }): PlannedMark => {
    return { ...mark, position: position(target), destination: destinationOf(targets, target) };
  });
  const takesAway = [...deletions, ...marks.filter(({ kind }) => kind === 'set')];
  const isUnlisted = (one: PlannedDeletion | PlannedMark) => plan.unlisted?.has(removalKey(one)) ?? false;
  const refusal = (one: PlannedDeletion | PlannedMark): ReportedError | null => {
    const name = nameOf(one.position.target);
    const entry = mass.get(name);
    if (entry !== undefined) return told.has(name) ? null : massError(entry);
    return isUnlisted(one) && request.first ? unlistedError(one) : null;
  };
  const reported = takesAway.flatMap((one): PlannedOperation[] => {
    const error = refusal(one);
    return error === null ? [] : [{ position: one.position, operation: { ...removalOperation(one), error } }];
  });
  const allowed = (one: PlannedDeletion | PlannedMark) => !refused.has(nameOf(one.position.target)) && !isUnlisted(one);
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

/** Sorts what left the selection before surplus (docs/rules/plan.md#stages-follow-each-other). */
function bySelectionFirst(marks: readonly PlannedMark[]): PlannedMark[] {
  const isSelection = ({ put }: PlannedMark) => put?.reason === 'dropped-from-selection';
  return [...marks.filter(isSelection), ...marks.filter((mark) => !isSelection(mark))];
}

/** Reports a tag that stays: served, but not listed (docs/rules/plan.md#an-empty-source-is-no-wish). */
function unlistedError(one: PlannedDeletion | PlannedMark): ReportedError {
  return reportError(
    new HoubaError('PreconditionFailed', `${removalKey(one)} stays: the source does not list its tag, but serves it`, {
      hint: 'see what the source lists; to let the tag go, exclude it in the policy',
    }),
  );
}

/** Reports a repository over the cap of a run (docs/rules/plan.md#one-run-takes-away-a-share-at-most). */
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
