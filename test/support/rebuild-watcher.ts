import { request } from './http.js';
import { inTurn, PAUSE_MS, startTagWatcher, type TagWatcher } from './tag-watcher.js';

/** Everything that houba signs about an image. */
const SIGNED = [
  'https://houba.dev/predicate/transform/v1',
  'https://slsa.dev/provenance/v1',
  'https://spdx.dev/Document',
];
const PREDICATE_TYPE = 'dev.sigstore.bundle.predicateType';

/** As `startTagWatcher`, and it also looks for the signatures. `bare` are those without, too. */
export function startSignedTagWatcher(host: string, repository: string): TagWatcher {
  const papers = startTagWatcher(host, repository);
  const judged = new Map<string, string>();
  const bare = new Set<string>();
  const next = inTurn();
  let stopped = false;

  async function look(): Promise<void> {
    const tags = papers.tags();
    const again = next(tags);
    for (const tag of tags) {
      if (judged.has(tag) && tag !== again && !stopped) continue;
      const manifest = await request(`http://${host}/v2/${repository}/manifests/${tag}`, {
        method: 'HEAD',
        headers: { accept: ACCEPTED },
      });
      const digest = String(manifest.headers['docker-content-digest']);
      if (manifest.status !== 200 || judged.get(tag) === digest) continue;
      judged.set(tag, digest);
      const signed = await predicatesOf(digest);
      for (const type of SIGNED) if (!signed.has(type)) bare.add(`${tag} without signed ${type}`);
    }
  }

  async function predicatesOf(digest: string): Promise<Set<string>> {
    const api = await request(`http://${host}/v2/${repository}/referrers/${digest}`);
    const fallback = `http://${host}/v2/${repository}/manifests/${digest.replace(':', '-')}`;
    const { status, body } = api.status === 200 ? api : await request(fallback, { headers: { accept: ACCEPTED } });
    if (status !== 200) return new Set();
    const { manifests = [] } = JSON.parse(body.toString('utf8')) as { manifests?: Listed[] };
    return new Set(manifests.map(({ annotations }) => annotations?.[PREDICATE_TYPE] ?? ''));
  }

  const watching = (async () => {
    while (!stopped) {
      await look();
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  })();
  watching.catch(() => {}); // told by `stop`

  return {
    tags: papers.tags,
    stop: async () => {
      stopped = true;
      await watching;
      const ended = await papers.stop();
      await look();
      return { ...ended, bare: [...ended.bare, ...bare] };
    },
  };
}

interface Listed {
  readonly annotations?: Readonly<Record<string, string>>;
}

const ACCEPTED = 'application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json';
