import type { ReferrerDescriptor, RegistryReader } from '../adapters/registry.js';
import type { Digest } from '../domain/digest.js';
import { missingSboms, type PlatformManifest, type SbomFormat } from '../domain/evidence/sbom.js';
import type { SeenRepository, SeenTag, SourceDigests } from '../domain/plan/survey.js';
import { formatRepository, isEvidenceTag, isTag, type Repository } from '../domain/reference.js';
import { HoubaError } from '../domain/report/errors.js';
import { readStamp } from '../domain/stamp/annotations.js';
import type { Dependencies } from './dependencies.js';
import { readManifest, readPlatforms } from './manifests.js';

interface Looking {
  readonly signal: AbortSignal;
  /** Requests in flight. */
  readonly width: number;
  /** Called for every tag looked at. */
  readonly onTag: () => void;
}

/**
 * The source's tags.
 * @throws HoubaError `NotFound` or `PreconditionFailed`: an unknown or empty source is an error, never an empty wish (L4)
 */
export async function listSourceTags(
  reader: RegistryReader,
  source: Repository,
  signal: AbortSignal,
): Promise<string[]> {
  const tags = await reader.listTags(source, signal);
  if (tags === null) {
    throw new HoubaError('NotFound', `the source ${formatRepository(source)} is unknown to its registry`, {
      hint: 'check spec.source, and the credentials if the repository is private',
    });
  }
  if (tags.length === 0) {
    throw new HoubaError('PreconditionFailed', `the source ${formatRepository(source)} lists no tags`, {
      hint: 'nothing is done while upstream is empty; look at it there',
    });
  }
  return tags;
}

/** What each tag of the source resolves to: one HEAD a tag. */
export async function surveySource(
  reader: RegistryReader,
  source: Repository,
  tags: readonly string[],
  looking: Looking,
): Promise<SourceDigests> {
  const digests = new Map<string, Digest | null>();
  await forEach(tags, looking, async (tag) => {
    digests.set(tag, (await reader.headManifest(source, tag, looking.signal))?.digest ?? null);
  });
  return digests;
}

/**
 * What a destination holds: its tag list, one HEAD a tag, and a closer look at every digest not remembered.
 *
 * @param recheck look closer at every digest
 */
export async function surveyDestination(
  deps: Dependencies,
  repository: Repository,
  needsSbom: boolean,
  recheck: boolean,
  looking: Looking,
): Promise<SeenRepository> {
  const listed = (await deps.reader.listTags(repository, looking.signal)) ?? [];
  const tags = new Map<string, SeenTag>();
  const closer = new Map<Digest, Promise<SeenTag>>();
  await forEach(
    listed.filter((tag) => isTag(tag) && !isEvidenceTag(tag)),
    looking,
    async (tag) => {
      const head = await deps.reader.headManifest(repository, tag, looking.signal);
      if (head === null) return;
      const known = recheck ? undefined : remembered(deps, repository, head.digest, needsSbom);
      if (known !== undefined) {
        tags.set(tag, known);
        return;
      }
      const look = closer.get(head.digest) ?? lookCloser(deps, repository, head.digest, needsSbom, looking.signal);
      closer.set(head.digest, look);
      tags.set(tag, await look);
    },
  );
  return { repository, tags };
}

function remembered(
  deps: Dependencies,
  repository: Repository,
  digest: Digest,
  needsSbom: boolean,
): SeenTag | undefined {
  const facts = deps.memory.facts(repository, digest);
  if (facts === undefined) return undefined;
  const complete = !needsSbom || facts.stamp === null || covers(facts.sbomFormats, deps.settings.sbomFormats);
  return complete ? { digest, stamp: facts.stamp, sbomComplete: true } : undefined;
}

async function lookCloser(
  deps: Dependencies,
  repository: Repository,
  digest: Digest,
  needsSbom: boolean,
  signal: AbortSignal,
): Promise<SeenTag> {
  const { prefix, sbomFormats } = deps.settings;
  const { manifest } = await readManifest(deps.reader, repository, digest, signal);
  const stamp = readStamp(manifest.annotations, prefix);
  if (stamp === null || !needsSbom) {
    deps.memory.rememberFacts(repository, digest, { stamp, sbomFormats: [] });
    return { digest, stamp, sbomComplete: true };
  }
  const platforms = await readPlatforms(deps.reader, repository, digest, signal);
  const referrers = await referrersOf(deps.reader, repository, digest, platforms, signal);
  const complete = missingSboms(digest, platforms, sbomFormats, referrers, prefix).length === 0;
  if (complete) deps.memory.rememberFacts(repository, digest, { stamp, sbomFormats });
  return { digest, stamp, sbomComplete: complete };
}

/** The referrers of a subject and of each of its platforms' manifests. */
export async function referrersOf(
  reader: RegistryReader,
  repository: Repository,
  subject: Digest,
  platforms: readonly PlatformManifest[],
  signal: AbortSignal,
): Promise<Map<Digest, ReferrerDescriptor[]>> {
  const found = new Map<Digest, ReferrerDescriptor[]>();
  for (const digest of new Set([subject, ...platforms.map((platform) => platform.digest)])) {
    found.set(digest, await reader.listReferrers(repository, digest, {}, signal));
  }
  return found;
}

function covers(have: readonly SbomFormat[], want: readonly SbomFormat[]): boolean {
  return want.every((format) => have.includes(format));
}

/** Works through the items with a fixed number in flight; the first error stops the rest. */
async function forEach(
  items: readonly string[],
  { width, onTag, signal }: Looking,
  work: (item: string) => Promise<void>,
): Promise<void> {
  let next = 0;
  const lane = async () => {
    while (next < items.length) {
      signal.throwIfAborted();
      const item = items[next++] as string;
      try {
        await work(item);
      } catch (error) {
        next = items.length;
        throw error;
      }
      onTag();
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, lane));
}
