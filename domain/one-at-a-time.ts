/**
 * One piece of work a key at a time: whoever comes second waits, and finds what the first one made. A first one that
 * failed is its own caller's business.
 *
 * @param running what is under way, by key; handed in anew for each kind of work
 */
export async function oneAtATime<Result>(
  running: Map<string, Promise<unknown>>,
  key: string,
  work: () => Promise<Result>,
): Promise<Result> {
  for (let other = running.get(key); other !== undefined; other = running.get(key)) {
    await other.catch(() => undefined);
  }
  const own = work();
  running.set(key, own);
  try {
    return await own;
  } finally {
    running.delete(key);
  }
}
