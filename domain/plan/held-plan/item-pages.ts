import type { PlanItem } from '../plan-item.js';

/**
 * The first items of a sorted list, about `size` of them: what belongs to one tag stays together, so that an alias goes
 * with the image it is to show.
 */
export function takeItems<Item extends PlanItem>(
  items: readonly Item[],
  size: number,
): { readonly page: readonly Item[]; readonly rest: readonly Item[] } {
  let end = Math.min(size, items.length);
  while (end > 0 && end < items.length && groupOf(items[end] as Item) === groupOf(items[end - 1] as Item)) end += 1;
  return { page: items.slice(0, end), rest: items.slice(end) };
}

/** The tag with which an item is carried out. */
export function groupOf({ kind, repository, tag, src_tag, digest }: PlanItem): string {
  const leader = kind === 'aliased' && digest === null ? src_tag : tag;
  return `${repository}:${leader}`;
}
