type Entry = Record<string, unknown>;

/** How BuildKit marks the lines that it makes up for layers that have none. */
const MADE_UP = 'buildkit.exporter.image.v0';

/**
 * Rewords the history lines that BuildKit makes up. It adds them for base layers without a line, and words them after the build
 * that cached the layer first, so that the same build would give another digest each time.
 * @param config an image's configuration that BuildKit wrote
 * @param baseLines how many lines the base has of its own
 * @returns the configuration to publish; the same object when nothing is made up
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
