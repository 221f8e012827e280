import type { Manifest } from '../../adapters/registry.js';
import type { Digest } from '../../domain/digest.js';
import { HoubaError } from '../../domain/errors.js';
import { formatPinned, isTag, type Repository } from '../../domain/reference.js';
import type { DestinationRepository } from '../../domain/roster.js';
import type { Dependencies } from '../dependencies.js';
import { readManifest } from '../repository/read-manifest.js';
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
 * Keeps what upstream says of an image: the unmodified original, what refers to it or to one of its platforms, and what is
 * under their signature tags. What is there already is not copied again. Upstream may have dropped an original that is kept.
 *
 * All is looked at first and then copied by the digest that was looked at: a source can show each client another list.
 *
 * Throws `NotFound` when neither side has the original, and `PreconditionFailed` when something upstream attached would
 * pass for houba's own evidence, on a platform's manifest for instance, which the original and the stamped index share.
 */
export function createKeepEvidence(deps: Dependencies) {
  return step(async (request: EvidenceRequest, { signal }): Promise<void> => {
    const { source, digest, destination } = request;
    if ((await deps.reader.headManifest(source, digest, signal)) === null) {
      if ((await deps.reader.headManifest(destination, digest, signal)) !== null) return;
      throw new HoubaError('NotFound', `there is no ${formatPinned(source, digest)}`);
    }
    const { manifest } = await readManifest(deps.reader, source, digest, signal);
    await refuseForged(deps, source, digest, manifest, signal);
    const children = manifest.kind === 'index' ? manifest.manifests.map((child) => child.digest) : [];
    const attached: Attached[] = [];
    for (const subject of new Set([digest, ...children])) {
      const referrers = await lookAtReferrers(deps, source, subject, signal);
      attached.push({ subject, referrers, tags: await lookAtTags(deps, source, subject, signal) });
    }
    await deps.regctl.copyImage({ repository: source, digest }, destination, {}, signal);
    for (const one of attached) await copyAttached(deps, request, one, signal);
  });
}

/** What upstream has attached to one manifest, all of it harmless. */
interface Attached {
  readonly subject: Digest;
  readonly referrers: ReadonlySet<Digest>;
  readonly tags: ReadonlyMap<string, Manifest>;
}

/** What the list says of them is upstream's word alone; whatever refers to something else is left out. */
async function lookAtReferrers(
  deps: Dependencies,
  source: Repository,
  subject: Digest,
  signal: AbortSignal,
): Promise<ReadonlySet<Digest>> {
  const referrers = new Set<Digest>();
  for (const { digest } of await deps.reader.listReferrers(source, subject, {}, signal)) {
    const { manifest } = await readManifest(deps.reader, source, digest, signal);
    await refuseForged(deps, source, digest, manifest, signal);
    if (manifest.subject?.digest === subject) referrers.add(digest);
  }
  return referrers;
}

/** Nothing under a signature tag refers to anything by itself: that it would at the destination, to whatever it likes. */
async function lookAtTags(
  deps: Dependencies,
  source: Repository,
  subject: Digest,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Manifest>> {
  const tags = new Map<string, Manifest>();
  for (const suffix of SUFFIXES) {
    const tag = `${subject.replace(':', '-')}${suffix}`;
    const head = isTag(tag) ? await deps.reader.headManifest(source, tag, signal) : null;
    if (head === null) continue;
    const { raw, manifest } = await readManifest(deps.reader, source, head.digest, signal);
    await refuseForged(deps, source, head.digest, manifest, signal);
    if (manifest.subject === null) tags.set(tag, raw);
  }
  return tags;
}

async function copyAttached(
  { reader, regctl }: Dependencies,
  { source: repository, destination }: EvidenceRequest,
  { subject, referrers, tags }: Attached,
  signal: AbortSignal,
): Promise<void> {
  const kept = referrers.size === 0 ? [] : await reader.listReferrers(destination, subject, {}, signal);
  for (const digest of referrers) {
    if (kept.some((one) => one.digest === digest)) continue;
    await regctl.copyImage({ repository, digest }, destination, { subject }, signal);
  }
  for (const [tag, { digest, mediaType, bytes }] of tags) {
    if ((await reader.headManifest(destination, tag, signal))?.digest === digest) continue;
    await regctl.copyImage({ repository, digest }, destination, {}, signal);
    await regctl.putManifest(destination, { tag }, mediaType, bytes, signal);
  }
}
