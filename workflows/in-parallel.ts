/** Works on items, at most `width` at a time. An error of the work ends the rest once those in flight have ended. */
export async function inParallel<Item>(
  items: readonly Item[],
  width: number,
  work: (item: Item, index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  let stop: { readonly reason: unknown } | undefined;
  const lane = async () => {
    while (stop === undefined && next < items.length) {
      const index = next++;
      try {
        await work(items[index] as Item, index);
      } catch (reason) {
        stop ??= { reason };
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, lane));
  if (stop !== undefined) throw stop.reason;
}
