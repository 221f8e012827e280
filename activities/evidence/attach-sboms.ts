import type { DocumentPlace } from '../../adapters/digest-memory.js';
import type { ReferrerDescriptor } from '../../adapters/registry.js';
import { type Digest, digestOf } from '../../domain/digest.js';
import {
  MAX_SBOM_BYTES,
  type MissingSbom,
  missingSboms,
  type PlatformManifest,
  SBOM_MEDIA_TYPES,
  type SbomFormat,
  sbomAnnotations,
} from '../../domain/evidence/sbom.js';
import { refuseForeignLayers } from '../../domain/manifest.js';
import { oneAtATime } from '../../domain/one-at-a-time.js';
import { formatPinned, type Repository } from '../../domain/reference.js';
import type { OperationLine } from '../../domain/report/run/journal.js';
import type { DestinationRepository } from '../../domain/roster.js';
import { prefixedKeys } from '../../domain/stamp/keys.js';
import type { Dependencies } from '../dependencies.js';
import { rememberEvidence } from '../repository/digest-facts.js';
import { readArtifactFile, readManifest, readPlatforms } from '../repository/read-manifest.js';
import { referrersOf } from '../repository/referrers.js';
import { type StepContext, step } from '../step.js';

export interface SbomRequest {
  readonly destination: DestinationRepository;
  readonly subject: Digest;
  /** What the tag showed before, whose documents describe the same bytes; null: scan. */
  readonly carryFrom: Digest | null;
  /** ISO 8601; an input, so that a repetition writes the same referrer. */
  readonly timestamp: string;
  /** How the journal tells of a back-fill; null inside a placement. */
  readonly journal: Partial<OperationLine> | null;
}

/**
 * Attaches the SBOMs that a digest still lacks: one document a platform and format, on the platform's manifest and on
 * the index (section 7.1, L13). Each content is scanned once however many tags share it.
 *
 * @returns how many referrers were written
 */
export function createAttachSboms(deps: Dependencies) {
  const scanning = new Map<string, Promise<unknown>>();
  return step(async (request: SbomRequest, context: StepContext): Promise<number> => {
    const { reader, settings } = deps;
    const { destination, subject } = request;
    const { signal } = context;
    const platforms = await readPlatforms(reader, destination, subject, signal);
    const referrers = await referrersOf(reader, destination, subject, platforms, signal);
    const missing = missingSboms(subject, platforms, settings.sbomFormats, referrers, settings.prefix);
    for (const platform of platforms) {
      const lacking = missing.filter((entry) => entry.of.digest === platform.digest);
      if (lacking.length === 0) continue;
      const content = await contentOf(deps, destination, platform, signal);
      await oneAtATime(scanning, content, () =>
        attachPlatform(deps, request, platform, content, lacking, referrers, context),
      );
    }
    if (request.journal !== null) {
      rememberEvidence(deps, destination, subject, { sbomFormats: settings.sbomFormats });
      deps.journal.event('operation', { ...request.journal, out_digest: subject, applied: true });
    }
    return missing.length;
  });
}

async function attachPlatform(
  deps: Dependencies,
  request: SbomRequest,
  platform: PlatformManifest,
  content: string,
  missing: readonly MissingSbom[],
  referrers: ReadonlyMap<Digest, readonly ReferrerDescriptor[]>,
  { signal }: StepContext,
): Promise<void> {
  const { destination } = request;
  const documents = new Map<SbomFormat, Uint8Array>();
  const toScan: SbomFormat[] = [];
  for (const format of new Set(missing.map((entry) => entry.format))) {
    const found = await findDocument(deps, request, platform, content, format, referrers, signal);
    if (found === null) toScan.push(format);
    else documents.set(format, found);
  }
  if (toScan.length > 0) {
    const scanned = await deps.syft.scan(destination, platform.digest, toScan, signal);
    for (const [format, document] of scanned) documents.set(format, document);
  }
  for (const { format, subject } of missing) {
    await attach(deps, request, platform, format, subject, documents.get(format) as Uint8Array, signal);
  }
  for (const [format, document] of documents) {
    const place = { host: destination.host, path: destination.path, digest: digestOf(document) };
    deps.memory.rememberDocument(content, format, place);
  }
}

async function attach(
  deps: Dependencies,
  { destination, timestamp }: SbomRequest,
  { platform }: PlatformManifest,
  format: SbomFormat,
  subject: Digest,
  bytes: Uint8Array,
  signal: AbortSignal,
): Promise<void> {
  const toolVersion = await deps.syft.version();
  const annotations = sbomAnnotations({ format, platform, subject, toolVersion, timestamp }, deps.settings.prefix);
  const mediaType = SBOM_MEDIA_TYPES[format];
  const artifact = { artifactType: mediaType, annotations, file: { bytes, mediaType } };
  await deps.regctl.putArtifact(destination, subject, artifact, signal);
}

/**
 * A document of the same content that is attached somewhere already: to the platform's own manifest, to what the tag of a
 * single image showed before, or remembered. Not to an index, where several children may have the same platform.
 */
async function findDocument(
  deps: Dependencies,
  { destination, subject, carryFrom }: SbomRequest,
  platform: PlatformManifest,
  content: string,
  format: SbomFormat,
  referrers: ReadonlyMap<Digest, readonly ReferrerDescriptor[]>,
  signal: AbortSignal,
): Promise<Uint8Array | null> {
  const here = referrers.get(platform.digest) ?? [];
  const restamped = carryFrom !== null && platform.digest === subject;
  const before = restamped ? await deps.reader.listReferrers(destination, carryFrom, {}, signal) : [];
  const platformKey = prefixedKeys(deps.settings.prefix)?.sbomPlatform;
  for (const referrer of [...here, ...before]) {
    if (referrer.artifactType !== SBOM_MEDIA_TYPES[format]) continue;
    if (platformKey === undefined || referrer.annotations[platformKey] !== platform.platform) continue;
    const document = await readArtifactFile(deps.reader, destination, referrer.digest, MAX_SBOM_BYTES, signal);
    if (document !== null) return document;
  }
  const place = deps.memory.document(content, format);
  return place === undefined ? null : readRemembered(deps, place, signal);
}

/** The memory may be out of date: a document that is gone is made anew. */
async function readRemembered(
  deps: Dependencies,
  place: DocumentPlace,
  signal: AbortSignal,
): Promise<Uint8Array | null> {
  const repository: Repository = { host: place.host, path: place.path };
  try {
    return await deps.reader.getBlob(repository, place.digest, MAX_SBOM_BYTES, signal);
  } catch {
    signal.throwIfAborted();
    return null;
  }
}

/**
 * What makes two images the same to a scanner. The configuration alone would not do: it only claims which layers there
 * are, and whoever pushes an image may give it the configuration of another.
 */
async function contentOf(
  deps: Dependencies,
  repository: Repository,
  { digest }: PlatformManifest,
  signal: AbortSignal,
): Promise<string> {
  const { manifest } = await readManifest(deps.reader, repository, digest, signal);
  const tool = (await deps.syft.version()) ?? 'unknown';
  if (manifest.kind !== 'image') return `syft-${tool} ${digest}`;
  refuseForeignLayers(formatPinned(repository, digest), manifest.layers);
  const blobs = [manifest.config, ...manifest.layers].map((blob) => blob.digest);
  return `syft-${tool} ${digestOf(new TextEncoder().encode(blobs.join('\n')))}`;
}
