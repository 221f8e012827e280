type Entry = Record<string, unknown>;

/** BuildKit's comment in history lines that it makes up for layers without one. */
const MADE_UP = 'buildkit.exporter.image.v0';

/**
 * Rewords history lines made up by BuildKit, whose text depends on what it built before, and so would the digest.
 * @param baseLines lines of the base itself. @returns the same object when nothing is made up
 */
export function settleHistory(config: Entry, baseLines: number): Entry {
  const history = Array.isArray(config.history) ? (config.history as Entry[]) : [];
  const added = history.slice(baseLines);
  const ours = added.filter((line) => line.comment !== MADE_UP);
  if (ours.length === added.length) return config;
  const line = {
    ...(config.created === undefined ? {} : { created: config.created }),
    created_by: 'a layer of the base',
  };
  const made = Array.from({ length: added.length - ours.length }, () => line);
  return { ...config, history: [...history.slice(0, baseLines), ...made, ...ours] };
}
