import { type Digest, digestOf } from '../../domain/digest.js';
import { HoubaError } from '../../domain/errors.js';
import { type Descriptor, type ParsedManifest, parseManifest } from '../../domain/manifest.js';
import type { Placement } from '../../domain/plan/work.js';
import { formatTagged } from '../../domain/reference.js';
import { type RecordedStamp, type Stamp, stampAnnotations } from '../../domain/stamp/annotations.js';
import { OCI_KEYS, prefixedKeys } from '../../domain/stamp/keys.js';
import { type StampedManifest, stampManifest } from '../../domain/stamp/manifest.js';
import { compareText } from '../../domain/text/compare-text.js';
import type { Dependencies } from '../dependencies.js';
import { readConfig } from '../repository/read-manifest.js';
import type { RepositoryAt } from '../repository/repository-at.js';

/**
 * Makes the manifest that a placement publishes, unchanged where the stamp goes beside it. @throws HoubaError
 * `PreconditionFailed` when the unchanged image bears houba's keys, which would pass for the stamp
 */
export function stampFor(
  deps: Dependencies,
  placement: Placement,
  body: { readonly bytes: Uint8Array; readonly mediaType: string; readonly lost?: readonly Digest[] },
  revision: string | null,
): StampedManifest {
  const { prefix } = deps.settings;
  const { bytes, mediaType, lost } = body;
  if (placement.stampTo !== 'referrer') {
    const stamp = { ...factsOf(placement, revision), lost, supersedes: placement.current };
    return stampManifest(bytes, mediaType, stampAnnotations(stamp, prefix), prefix);
  }
  refuseMarks(placement, parseManifest(bytes, mediaType), prefix);
  // The source's digest may be sha512.
  const same = digestOf(bytes, placement.baseDigest);
  return { bytes, mediaType, digest: same === placement.baseDigest ? same : digestOf(bytes) };
}

/** A stamp beside an image (docs/rules/stamp.md#a-stamp-beside-the-image). */
export interface StampRequest {
  readonly placement: Placement;
  readonly digest: Digest;
  readonly revision: string | null;
}

/** Makes the annotations of a stamp beside an image, sorted. @param before the tag's stamp on the same digest */
export function stampBesideFor(
  deps: Dependencies,
  { placement, digest: published, revision }: StampRequest,
  before: RecordedStamp | null,
): Record<string, string> {
  const keys = prefixedKeys(deps.settings.prefix);
  if (keys === null) throw new HoubaError('PolicyInvalid', 'stamp: referrer needs a label prefix');
  const supersedes = placement.current === published ? (before?.supersedes ?? null) : placement.current;
  const stamp = stampAnnotations({ ...factsOf(placement, revision), supersedes }, deps.settings.prefix);
  return sortedByKey({ ...stamp, [keys.tag]: placement.tag });
}

function factsOf(placement: Placement, revision: string | null): Omit<Stamp, 'supersedes'> {
  const { label, source, sourceTag, baseDigest, transform } = placement;
  return {
    ...label,
    ...{ source, sourceTag, baseDigest, revision },
    transformSteps: transform?.steps.map((step) => step.name) ?? [],
    transformVersion: transform?.version ?? null,
    platforms: label.platforms ?? null,
    upstreamVerified: placement.upstreamVerified ?? null,
    promoted: placement.promoted ?? null,
  };
}

function refuseMarks({ source, sourceTag }: Placement, manifest: ParsedManifest, prefix: string): void {
  const mark = Object.keys(manifest.annotations).find((key) => key.startsWith(`${prefix}.`));
  if (mark === undefined) return;
  const name = formatTagged(source, sourceTag);
  throw new HoubaError('PreconditionFailed', `${name} bears the annotation ${mark}, which would pass for our stamp`, {
    hint: 'use stamp: annotations for this source',
  });
}

function sortedByKey(map: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(map).sort(([a], [b]) => compareText(a, b)));
}

/** A longer revision is left out: it must fit into a workflow history and into a program's arguments. */
const LONGEST_REVISION = 1000;

/**
 * Reads upstream's revision: an annotation, else a label of the image's configuration, else null. @param image of an
 * index, the one to read; left out: the first
 */
export async function readRevision(at: RepositoryAt, manifest: ParsedManifest, image?: Digest): Promise<string | null> {
  const annotated = manifest.annotations[OCI_KEYS.revision];
  if (annotated !== undefined) return annotated.length > LONGEST_REVISION ? null : annotated;
  if (manifest.kind === 'image') {
    const { labels } = await readConfig(at, manifest.config);
    const label = labels[OCI_KEYS.revision];
    return typeof label === 'string' && label !== '' && label.length <= LONGEST_REVISION ? label : null;
  }
  const isRunnable = ({ platform }: Descriptor) => platform !== undefined && platform.os !== 'unknown';
  const first = image ?? manifest.manifests.find(isRunnable)?.digest;
  if (first === undefined) return null;
  const child = await at.manifest(first);
  return child.manifest.kind === 'image' ? readRevision(at, child.manifest) : null;
}
