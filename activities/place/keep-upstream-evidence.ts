import type { Manifest } from '../../adapters/registry.js';
import type { Digest } from '../../domain/digest.js';
import { HoubaError } from '../../domain/errors.js';
import { formatPinned, isTag, type Repository } from '../../domain/reference.js';
import type { DestinationRepository } from '../../domain/roster.js';
import type { Dependencies } from '../dependencies.js';
import { type RepositoryAt, repositoryAt } from '../repository/repository-at.js';
import { step } from '../step.js';
import { refuseForged } from './refuse-forged.js';

export interface EvidenceRequest {
  readonly source: Repository;
  readonly digest: Digest;
  readonly destination: DestinationRepository;
}

/** What older signers keep under tags, by what follows `sha256-<hex>`. */
const SUFFIXES = ['.sig', '.att', '.sbom'];

/**
 * Keeps what upstream says of an image: the unmodified original, what refers to it or to one of its platforms, and what is under
 * their signature tags. What is there already is not copied again. Upstream may have dropped an original that is kept.
 *
 * All is looked at first and then copied by the digest that was looked at: a source can show each client another list.
 * Throws `NotFound` when neither side has the original, and `PreconditionFailed` when something upstream attached would pass for
 * houba's own evidence, on a platform's manifest for instance, which the original and the stamped index share.
 */
export function createKeepEvidence(deps: Dependencies) {
  return step(async (request: EvidenceRequest, { signal }): Promise<void> => {
    const { source, digest, destination } = request;
    const from = repositoryAt(deps, source, signal);
    const to = repositoryAt(deps, destination, signal);
    if ((await from.head(digest)) === null) {
      if ((await to.head(digest)) !== null) return;
      throw new HoubaError('NotFound', `there is no ${formatPinned(source, digest)}`);
    }
    const { manifest } = await from.manifest(digest);
    await refuseForged(from, digest, manifest);
    const children = manifest.kind === 'index' ? manifest.manifests.map((child) => child.digest) : [];
    const attached: Attached[] = [];
    for (const subject of new Set([digest, ...children])) {
      const referrers = await lookAtReferrers(from, subject);
      attached.push({ subject, referrers, tags: await lookAtTags(from, subject) });
    }
    await deps.regctl.copyImage({ repository: source, digest }, destination, {}, signal);
    for (const one of attached) await copyAttached(deps, from, to, one);
  });
}

/** What upstream has attached to one manifest; none of it passes for ours. */
interface Attached {
  readonly subject: Digest;
  readonly referrers: ReadonlySet<Digest>;
  readonly tags: ReadonlyMap<string, Manifest>;
}

/** Reads the referrers that a source lists; one that refers to something else is left out. */
async function lookAtReferrers(at: RepositoryAt, subject: Digest): Promise<ReadonlySet<Digest>> {
  const referrers = new Set<Digest>();
  for (const { digest } of await at.referrers(subject)) {
    const { manifest } = await at.manifest(digest);
    await refuseForged(at, digest, manifest);
    if (manifest.subject?.digest === subject) referrers.add(digest);
  }
  return referrers;
}

/** Reads what is under signature tags. What names a subject is left out: it would be that manifest's referrer here. */
async function lookAtTags(at: RepositoryAt, subject: Digest): Promise<ReadonlyMap<string, Manifest>> {
  const tags = new Map<string, Manifest>();
  for (const suffix of SUFFIXES) {
    const tag = `${subject.replace(':', '-')}${suffix}`;
    const digest = isTag(tag) ? await at.head(tag) : null;
    if (digest === null) continue;
    const { raw, manifest } = await at.manifest(digest);
    await refuseForged(at, digest, manifest);
    if (manifest.subject === null) tags.set(tag, raw);
  }
  return tags;
}

async function copyAttached(
  { regctl }: Dependencies,
  { repository, signal }: RepositoryAt,
  to: RepositoryAt,
  { subject, referrers, tags }: Attached,
): Promise<void> {
  const destination = to.repository;
  const kept = referrers.size === 0 ? [] : await to.referrers(subject);
  for (const digest of referrers) {
    if (kept.some((one) => one.digest === digest)) continue;
    await regctl.copyImage({ repository, digest }, destination, { subject }, signal);
  }
  for (const [tag, { digest, mediaType, bytes }] of tags) {
    if ((await to.head(tag)) === digest) continue;
    await regctl.copyImage({ repository, digest }, destination, {}, signal);
    await regctl.putManifest(destination, { tag }, mediaType, bytes, signal);
  }
}
