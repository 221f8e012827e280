/** Serializes work by key: a second caller waits until the first is done, whether or not it failed. */
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
