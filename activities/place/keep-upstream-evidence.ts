import type { Manifest } from '../../adapters/registry.js';
import type { Digest } from '../../domain/digest.js';
import { HoubaError } from '../../domain/errors.js';
import type { Descriptor } from '../../domain/manifest.js';
import { isPlatform, platformText } from '../../domain/platform.js';
import { formatPinned, formatTagged, isTag, type Repository } from '../../domain/reference.js';
import type { DestinationRepository } from '../../domain/roster.js';
import type { Dependencies } from '../dependencies.js';
import { addReferrer } from '../repository/attach-referrer.js';
import { readBack } from '../repository/read-back.js';
import { isAttestation } from '../repository/read-manifest.js';
import { type RepositoryAt, repositoryAt } from '../repository/repository-at.js';
import { step } from '../step.js';
import { copyImage } from './copy-image.js';
import { refuseForged } from './refuse-forged.js';

export interface EvidenceRequest {
  readonly source: Repository;
  readonly digest: Digest;
  readonly destination: DestinationRepository;
  /** Those that are taken; left out: all. */
  readonly platforms?: readonly string[] | null;
}

/** Suffixes of cosign's older tags for evidence, `sha256-<hex>.sig` and so on. */
const SUFFIXES = ['.sig', '.att', '.sbom'];

/**
 * Copies the original and its upstream evidence (docs/rules/evidence.md#upstreams-evidence-stays-with-the-original),
 * after checking all of it: a source may show each client another list. @throws HoubaError `NotFound`;
 * `PreconditionFailed` when some would pass for houba's
 */
export function createKeepEvidence(deps: Dependencies) {
  return step(async (request: EvidenceRequest, { signal }): Promise<void> => {
    const { source, digest, destination, platforms = null } = request;
    const from = repositoryAt(deps, source, signal);
    const to = repositoryAt(deps, destination, signal);
    if ((await from.find(digest)) === null) {
      if ((await to.head(digest)) !== null) return;
      throw new HoubaError('NotFound', `there is no ${formatPinned(source, digest)}`);
    }
    const { manifest } = await from.manifest(digest);
    const isWanted = ({ platform }: Descriptor) =>
      platforms === null ||
      (platform !== undefined && platforms.some((one) => isPlatform(platformText(platform), one)));
    const lost = await refuseForged(from, digest, manifest, (child) => isAttestation(child) || !isWanted(child));
    const named = manifest.kind === 'index' ? manifest.manifests.map((child) => child.digest) : [];
    const children = named.filter((child) => !lost.includes(child));
    // An index that names what is gone cannot be copied; its platforms can.
    const copied = lost.length === 0 ? [digest] : children;
    const attached: Attached[] = [];
    for (const subject of new Set([...copied, ...children])) {
      const referrers = await lookAtReferrers(from, subject);
      attached.push({ subject, referrers, tags: await lookAtTags(from, subject) });
    }
    for (const one of copied) await copyImage(deps, from, one, destination);
    for (const one of attached) await copyAttached(deps, from, to, one);
  });
}

/** Upstream evidence of one manifest, checked for forged stamps. */
interface Attached {
  readonly subject: Digest;
  readonly referrers: ReadonlySet<Digest>;
  readonly tags: ReadonlyMap<string, Manifest>;
}

/** Reads the referrers of a manifest; one whose subject is another manifest is left out. */
async function lookAtReferrers(at: RepositoryAt, subject: Digest): Promise<ReadonlySet<Digest>> {
  const referrers = new Set<Digest>();
  for (const { digest } of await at.referrers(subject)) {
    const { manifest } = await at.manifest(digest);
    await refuseForged(at, digest, manifest);
    if (manifest.subject?.digest === subject) referrers.add(digest);
  }
  return referrers;
}

/** Reads the images under evidence tags. One with a subject is left out: copied, it would be a referrer. */
async function lookAtTags(at: RepositoryAt, subject: Digest): Promise<ReadonlyMap<string, Manifest>> {
  const tags = new Map<string, Manifest>();
  for (const suffix of SUFFIXES) {
    const tag = `${subject.replace(':', '-')}${suffix}`;
    const digest = isTag(tag) ? await at.find(tag) : null;
    if (digest === null) continue;
    const { raw, manifest } = await at.manifest(digest);
    await refuseForged(at, digest, manifest);
    if (manifest.subject === null) tags.set(tag, raw);
  }
  return tags;
}

/** @throws HoubaError `DigestMismatch` when the destination does not show what was copied */
async function copyAttached(
  deps: Dependencies,
  { repository, signal }: RepositoryAt,
  to: RepositoryAt,
  { subject, referrers, tags }: Attached,
): Promise<void> {
  const { regctl, readBackMs } = deps;
  const destination = to.repository;
  const kept = referrers.size === 0 ? [] : await to.referrers(subject);
  for (const digest of referrers) {
    if (kept.some((one) => one.digest === digest)) continue;
    await addReferrer(deps, to, subject, async () => {
      await regctl.copyImage({ repository, digest }, destination, { subject }, signal);
      return digest;
    });
  }
  for (const [tag, { digest, mediaType, bytes }] of tags) {
    if ((await to.head(tag)) === digest) continue;
    await regctl.copyImage({ repository, digest }, destination, {}, signal);
    await regctl.putManifest(destination, { tag }, mediaType, bytes, signal);
    const shown = await readBack(
      () => to.head(tag),
      (now) => now === digest,
      readBackMs,
      signal,
    );
    if (shown === digest) continue;
    throw new HoubaError('DigestMismatch', `${formatTagged(destination, tag)} does not show ${digest}`, {
      hint: 'it was put there a moment ago: run again, and look at the registry if it happens again',
    });
  }
}
