import { request } from './http.js';

/** Looks at a repository again and again, as a cluster that pulls would, for a tag that is there before its papers. */
export interface TagWatcher {
  /** Every tag seen so far. */
  tags(): string[];
  /** Looks a last time. `bare` are tags that were seen without stamp or inventory at some moment. */
  stop(): Promise<{ seen: string[]; bare: string[] }>;
}

const SPDX = 'application/spdx+json';

/** Between two looks, which cost the registry time: a signature or an inventory takes far longer. */
export const PAUSE_MS = 20;

/** @param host of a registry that speaks plain HTTP */
export function startTagWatcher(host: string, repository: string): TagWatcher {
  const seen = new Map<string, string>();
  const bare = new Set<string>();
  const next = inTurn();
  let stopped = false;

  /** Looks at every new tag, and at one of those seen before, in turn: all of them each time would keep the registry busy. */
  async function look(): Promise<void> {
    const list = await request(`http://${host}/v2/${repository}/tags/list`);
    if (list.status !== 200) return;
    const { tags } = JSON.parse(list.body.toString('utf8')) as { tags: string[] | null };
    const again = next([...seen.keys()]);
    for (const tag of tags ?? []) {
      if (tag.startsWith('sha256-') || (seen.has(tag) && tag !== again && !stopped)) continue;
      const manifest = await request(`http://${host}/v2/${repository}/manifests/${tag}`, { headers: ACCEPT });
      // Some registries list a tag a moment before they serve it.
      if (manifest.status !== 200) continue;
      const digest = String(manifest.headers['docker-content-digest']);
      if (seen.get(tag) === digest) continue;
      seen.set(tag, digest);
      const { annotations = {} } = JSON.parse(manifest.body.toString('utf8'));
      if (annotations['io.houba.policy'] === undefined) bare.add(`${tag} without stamp`);
      if (!(await hasInventory(digest))) bare.add(`${tag} without inventory`);
    }
  }

  async function hasInventory(digest: string): Promise<boolean> {
    const api = await request(`http://${host}/v2/${repository}/referrers/${digest}`);
    const fallback = `http://${host}/v2/${repository}/manifests/${digest.replace(':', '-')}`;
    const answer = api.status === 200 ? api : await request(fallback, { headers: ACCEPT });
    if (answer.status !== 200) return false;
    const { manifests = [] } = JSON.parse(answer.body.toString('utf8'));
    return manifests.some((it: { artifactType?: string }) => it.artifactType === SPDX);
  }

  const watching = (async () => {
    while (!stopped) {
      await look();
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
    await look();
  })();
  watching.catch(() => {}); // told by `stop`

  return {
    tags: () => [...seen.keys()],
    stop: async () => {
      stopped = true;
      await watching;
      return { seen: [...seen.keys()].sort(), bare: [...bare] };
    },
  };
}

const ACCEPT = {
  accept: 'application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json',
};

/** Picks one of some, the next one each time. */
export function inTurn(): (some: readonly string[]) => string | undefined {
  let picked = 0;
  return (some) => some[picked++ % Math.max(1, some.length)];
}
