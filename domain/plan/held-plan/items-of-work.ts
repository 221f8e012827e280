import type { Digest } from '../../digest.js';
import { formatRepository, type Repository } from '../../reference.js';
import type { Position } from '../../report/run/position.js';
import { compareText } from '../../text/compare-text.js';
import type { Target } from '../plan.js';
import type { PlanItem } from '../plan-item.js';
import type { AliasPlacement, Backfill, Placement, PlannedDeletion, PlannedMark, PlannedWork, Wait } from '../work.js';
import { groupOf } from './item-pages.js';

/** Lists the items of a plan, sorted by repository, tag and kind. */
export function itemsOf(work: PlannedWork, targets: readonly Target[]): PlanItem[] {
  const items = [
    ...work.placements.flatMap((placement) => [
      placementItem(placement, targets),
      ...placement.aliases.map((move) => aliasItem({ ...placement, ...move, outTag: placement.tag }, targets)),
    ]),
    ...work.waits.filter(({ listed }) => listed).map((wait) => waitItem(wait, targets)),
    ...work.backfills.flatMap((backfill) => backfill.needs.map((kind) => backfillItem(backfill, kind, targets))),
    ...work.aliases.map((alias) => aliasItem(alias, targets)),
    ...work.deletions.map((deletion) => removalItem('deleted', deletion, targets)),
    ...work.marks.map((mark) => removalItem(mark.put === null ? 'unmarked' : 'marked', mark, targets)),
  ];
  return sortItems(items);
}

/** Builds the identity of an item; marks are told apart by digest. */
export function itemKey({ kind, repository, tag, current }: PlanItem): string {
  const pinned = kind === 'marked' || kind === 'unmarked' ? `@${current}` : '';
  return `${kind} ${repository}:${tag}${pinned}`;
}

/** Builds the sort key of an item, which keeps an alias beside its image. */
export function sortKey(item: PlanItem): string {
  return `${groupOf(item)} ${itemKey(item)}`;
}

export function sortItems<Item extends PlanItem>(items: readonly Item[]): Item[] {
  return [...items].sort((a, b) => compareText(sortKey(a), sortKey(b)));
}

export function workOf(work: PlannedWork, targets: readonly Target[], items: readonly PlanItem[]): PlannedWork {
  const agreed = new Set(items.map(itemKey));
  const has = (item: PlanItem) => agreed.has(itemKey(item));
  const { placements, backfills, aliases, waits, deletions, marks } = work;
  return {
    placements: placements
      .filter((placement) => has(placementItem(placement, targets)))
      .map((placement) => ({
        ...placement,
        aliases: placement.aliases.filter((move) => has(aliasItem({ ...placement, ...move, outTag: '' }, targets))),
      })),
    waits: waits.filter((wait) => wait.listed && has(waitItem(wait, targets))),
    backfills: backfills
      .map((backfill) => {
        const needs = backfill.needs.filter((kind) => has(backfillItem(backfill, kind, targets)));
        return { ...backfill, needs };
      })
      .filter(({ needs }) => needs.length > 0),
    aliases: aliases.filter((alias) => has(aliasItem(alias, targets))),
    deletions: deletions.filter((deletion) => has(removalItem('deleted', deletion, targets))),
    marks: marks.filter((mark) => has(removalItem(mark.put === null ? 'unmarked' : 'marked', mark, targets))),
  };
}

interface Placed {
  readonly position: Position;
  readonly destination: Repository;
}

function placementItem(placement: Placement, targets: readonly Target[]): PlanItem {
  const { kind, tag, sourceTag, baseDigest, current } = placement;
  return { kind, ...placeOf(placement, targets), tag, src_tag: sourceTag, digest: baseDigest, current, reason: null };
}

function waitItem({ placement, digest }: Wait, targets: readonly Target[]): PlanItem {
  return { ...placementItem(placement, targets), kind: 'held', digest };
}

function backfillItem(backfill: Backfill, kind: 'sbom' | 'attested', targets: readonly Target[]): PlanItem {
  const { tag, sourceTag, sourceDigest, subject } = backfill;
  const facts = { tag, src_tag: sourceTag, digest: sourceDigest, current: subject, reason: null };
  return { kind, ...placeOf(backfill, targets), ...facts };
}

function aliasItem(
  move: Placed & Pick<AliasPlacement, 'alias' | 'outTag' | 'current'> & { readonly digest?: Digest },
  targets: readonly Target[],
): PlanItem {
  const { alias, outTag, digest = null, current } = move;
  return {
    ...{ kind: 'aliased', ...placeOf(move, targets) },
    ...{ tag: alias, src_tag: outTag, digest, current, reason: null },
  };
}

function removalItem(
  kind: 'deleted' | 'marked' | 'unmarked',
  removal: PlannedDeletion | PlannedMark,
  targets: readonly Target[],
): PlanItem {
  const { tag, digest, baseDigest } = removal;
  const reason = 'put' in removal ? (removal.put?.reason ?? null) : null;
  return {
    ...{ kind, ...placeOf(removal, targets), tag: tag ?? '' },
    ...{ src_tag: null, digest: baseDigest, current: digest, reason },
  };
}

function placeOf({ position, destination }: Placed, targets: readonly Target[]) {
  const target = targets[position.target];
  const variant = position.variant === null ? undefined : target?.variants[position.variant];
  return {
    repository: formatRepository(destination),
    import: target?.import.name ?? '',
    variant: variant?.variant.name ?? null,
  };
}
