import { formatRepository, formatTagged } from '../reference.js';
import type { PlannedOperation } from '../report/run/position.js';
import { compareText } from '../text/compare-text.js';
import { aliasPlacementOf, backfillOf, type Planning, placementOf, transformOf, waitOf } from './placements.js';
import { isPlaced, type PolicyPlan, type Target } from './plan.js';
import {
  countKept,
  countOperations,
  plannedAlias,
  plannedBackfill,
  plannedPlacement,
  settledOperations,
} from './planned-operations.js';
import { pageRemovals } from './removal-page.js';
import type { RemovalPlan } from './removals.js';
import type { PlanRequest } from './request.js';
import { PAGE_SIZES, type PlannedWork, type PlanPage } from './work.js';

/** Waits on a page: they are alike, and compressed they fit into a payload. */
const MOST_WAITS = 5_000;

/** Operations listed on a page; further ones are counted. */
const MOST_LISTED = 5_000;

export interface DryRun {
  readonly tags: boolean;
  readonly deletions: boolean;
}

/** A page, with all of its operations for the journal in `reported`. */
export interface FilledPage extends Omit<PlanPage, 'error' | 'concurrency'> {
  readonly reported: readonly PlannedOperation[];
}

/** Fills a page with the stages in their order (docs/rules/plan.md#stages-follow-each-other). */
export function fillPage(
  planning: Planning,
  plan: PolicyPlan,
  removals: RemovalPlan,
  request: PlanRequest,
  dryRun: DryRun,
): FilledPage {
  const { targets } = planning;
  const failed = new Set(request.failed);
  const isOpen = (target: number, tag: string) => !failed.has(failureKey(targets, target, tag));
  const toPlace = plan.tags.filter((tag) => isPlaced(tag) && isOpen(tag.target, tag.outTag));
  const toFill = plan.tags.filter((tag) => tag.needs.length > 0 && isOpen(tag.target, tag.outTag));
  const toPoint = plan.aliases.filter((alias) => isOpen(alias.target, alias.alias));
  const { reported: removed, refused, deletions, marks } = pageRemovals(removals, targets, request, dryRun.deletions);

  const told = [
    ...toPlace.flatMap((tag) => plannedPlacement(tag, transformOf(planning, tag))),
    ...toFill.flatMap(plannedBackfill),
    ...toPoint.map(plannedAlias),
  ];
  const settled = request.first ? [...settledOperations(plan), ...(dryRun.tags ? told : [])] : [];
  const reported = [...settled, ...removed];
  const { listed, rest } = listSome(reported);

  let room = PAGE_SIZES.work;
  const take = <Item>(items: readonly Item[]): readonly Item[] => {
    const taken = items.slice(0, room);
    room -= taken.length;
    return taken;
  };
  const takeUnlessDry = <Item>(items: readonly Item[]) => (dryRun.tags ? [] : take(items));
  const toTag = dryRun.tags ? 0 : toPlace.length + toFill.length + toPoint.length;
  return {
    targets: reportTargets(targets),
    reported,
    settled: listed,
    counted: [...(request.first ? countKept(plan) : []), ...countOperations(rest)],
    cut: rest.length,
    placements: takeUnlessDry(toPlace).map((tag) => placementOf(planning, tag)),
    backfills: takeUnlessDry(toFill).map((tag) => backfillOf(planning, tag)),
    aliases: takeUnlessDry(toPoint).map((alias) => aliasPlacementOf(planning, alias)),
    deletions: take(deletions),
    marks: take(marks),
    refused,
    ...pageWaits(planning, plan, request),
    pending: toTag + deletions.length + marks.length,
  };
}

export function allWork(planning: Planning, plan: PolicyPlan, removals: RemovalPlan, request: PlanRequest) {
  const { deletions, marks, reported: forbidden } = pageRemovals(removals, planning.targets, request, false);
  const work: PlannedWork = {
    placements: plan.tags.filter(isPlaced).map((tag) => placementOf(planning, tag)),
    backfills: plan.tags.filter(({ needs }) => needs.length > 0).map((tag) => backfillOf(planning, tag)),
    aliases: plan.aliases.map((alias) => aliasPlacementOf(planning, alias)),
    waits: plan.tags.filter(({ wait }) => wait !== null).map((tag) => waitOf(planning, tag)),
    ...{ deletions, marks },
  };
  return { work, forbidden };
}

export function reportTargets(targets: readonly Target[]): PlanPage['targets'] {
  return targets.map((target) => ({
    dest_repo: formatRepository(target.repository),
    variants: target.variants.map(({ variant }) => ({ name: variant.name, suffix: variant.suffix })),
  }));
}

function pageWaits(planning: Planning, plan: PolicyPlan, request: PlanRequest): Pick<PlanPage, 'waits' | 'waitsAfter'> {
  const { waitsAfter: after } = request;
  if (after === undefined) return {};
  const waiting = plan.tags
    .filter((tag) => tag.wait !== null)
    .map((tag) => ({ tag, name: failureKey(planning.targets, tag.target, tag.outTag) }))
    .filter(({ name }) => after === null || compareText(name, after) > 0);
  const cut = waiting.length > MOST_WAITS;
  const last = cut ? (waiting.map(({ name }) => name).sort(compareText)[MOST_WAITS - 1] as string) : null;
  const page = waiting.filter(({ name }) => last === null || compareText(name, last) <= 0);
  return { waits: page.map(({ tag }) => waitOf(planning, tag)), waitsAfter: last };
}

function failureKey(targets: readonly Target[], target: number, tag: string): string {
  const repository = targets[target]?.repository;
  return repository === undefined ? tag : formatTagged(repository, tag);
}

/** Cuts the list, with failures first: they decide the exit code. */
function listSome(reported: readonly PlannedOperation[]): { listed: PlannedOperation[]; rest: PlannedOperation[] } {
  if (reported.length <= MOST_LISTED) return { listed: [...reported], rest: [] };
  const failed = reported.filter(({ operation }) => operation.error !== null);
  const inOrder = [...failed, ...reported.filter(({ operation }) => operation.error === null)];
  return { listed: inOrder.slice(0, MOST_LISTED), rest: inOrder.slice(MOST_LISTED) };
}
