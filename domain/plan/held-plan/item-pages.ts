import type { PlanItem } from '../plan-item.js';

/** Takes about `size` items from the front of a sorted list; an alias stays with its image. */
export function takeItems<Item extends PlanItem>(
  items: readonly Item[],
  size: number,
): { readonly page: readonly Item[]; readonly rest: readonly Item[] } {
  let end = Math.min(size, items.length);
  while (end > 0 && end < items.length && groupOf(items[end] as Item) === groupOf(items[end - 1] as Item)) end += 1;
  return { page: items.slice(0, end), rest: items.slice(end) };
}

export function groupOf({ kind, repository, tag, src_tag, digest }: PlanItem): string {
  const leader = kind === 'aliased' && digest === null ? src_tag : tag;
  return `${repository}:${leader}`;
}
