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
import { attachReferrer } from '../repository/attach-referrer.js';
import { rememberEvidence } from '../repository/digest-facts.js';
import { readArtifactFile, readPlatforms } from '../repository/read-manifest.js';
import { referrersOf } from '../repository/referrers.js';
import { type RepositoryAt, repositoryAt } from '../repository/repository-at.js';
import { type StepContext, step } from '../step.js';

export interface SbomRequest {
  readonly destination: DestinationRepository;
  readonly subject: Digest;
  /** The digest that the tag showed before, whose SBOMs describe the same bytes; null: scan. */
  readonly carryFrom: Digest | null;
  /** ISO 8601; an input, so that a repetition writes the same referrer. */
  readonly timestamp: string;
  /** The journal line of a backfill; null inside a placement. */
  readonly journal: Partial<OperationLine> | null;
}

/**
 * Attaches the SBOMs that a digest lacks (docs/rules/evidence.md#evidence-goes-where-readers-look), with one scan for
 * one content (docs/rules/evidence.md#one-inventory-for-one-content). @returns the number of referrers written
 */
export function createAttachSboms(deps: Dependencies) {
  const scanning = new Map<string, Promise<unknown>>();
  return step(async (request: SbomRequest, context: StepContext): Promise<number> => {
    const { settings } = deps;
    const { destination, subject } = request;
    const { signal } = context;
    const at = repositoryAt(deps, destination, signal);
    const platforms = await readPlatforms(at, subject);
    const referrers = await referrersOf(at, subject, platforms);
    const missing = missingSboms(subject, platforms, settings.sbomFormats, referrers, settings.prefix);
    for (const platform of platforms) {
      const lacking = missing.filter((entry) => entry.of.digest === platform.digest);
      if (lacking.length === 0) continue;
      const content = await contentOf(deps, at, platform);
      const scan = { ...request, platform, content, referrers };
      await oneAtATime(scanning, content, () => attachPlatform(deps, at, scan, lacking));
    }
    if (request.journal !== null) {
      rememberEvidence(deps, destination, subject, { sbomFormats: settings.sbomFormats });
      deps.journal.event('operation', { ...request.journal, out_digest: subject, applied: true });
    }
    return missing.length;
  });
}

interface PlatformScan extends SbomRequest {
  readonly platform: PlatformManifest;
  readonly content: string;
  readonly referrers: ReadonlyMap<Digest, readonly ReferrerDescriptor[]>;
}

async function attachPlatform(
  deps: Dependencies,
  at: RepositoryAt,
  scan: PlatformScan,
  missing: readonly MissingSbom[],
): Promise<void> {
  const { destination, platform, content } = scan;
  const documents = new Map<SbomFormat, Uint8Array>();
  const toScan: SbomFormat[] = [];
  for (const format of new Set(missing.map((entry) => entry.format))) {
    const found = await findDocument(deps, at, scan, format);
    if (found === null) toScan.push(format);
    else documents.set(format, found);
  }
  if (toScan.length > 0) {
    const scanned = await deps.syft.scan(destination, platform.digest, toScan, at.signal);
    for (const [format, document] of scanned) documents.set(format, document);
  }
  for (const { format, subject } of missing) {
    const annotated = { ...scan, subject, format };
    await attach(deps, at, annotated, documents.get(format) as Uint8Array);
  }
  for (const [format, document] of documents) {
    const place = { host: destination.host, path: destination.path, digest: digestOf(document) };
    deps.memory.rememberDocument(content, format, place);
  }
}

async function attach(
  deps: Dependencies,
  at: RepositoryAt,
  { platform: { platform }, format, subject, timestamp }: PlatformScan & { readonly format: SbomFormat },
  bytes: Uint8Array,
): Promise<void> {
  const toolVersion = await deps.syft.version();
  const annotations = sbomAnnotations({ format, platform, subject, toolVersion, timestamp }, at.prefix);
  const mediaType = SBOM_MEDIA_TYPES[format];
  const artifact = { artifactType: mediaType, annotations, file: { bytes, mediaType } };
  await attachReferrer(deps, at, subject, artifact);
}

/** Finds an SBOM of the same content; not on an index, where several children may have the same platform. */
async function findDocument(
  deps: Dependencies,
  at: RepositoryAt,
  { subject, carryFrom, platform, content, referrers }: PlatformScan,
  format: SbomFormat,
): Promise<Uint8Array | null> {
  const here = referrers.get(platform.digest) ?? [];
  const restamped = carryFrom !== null && platform.digest === subject;
  const before = restamped ? await at.referrers(carryFrom) : [];
  const platformKey = prefixedKeys(at.prefix)?.sbomPlatform;
  for (const referrer of [...here, ...before]) {
    if (referrer.artifactType !== SBOM_MEDIA_TYPES[format]) continue;
    if (platformKey === undefined || referrer.annotations[platformKey] !== platform.platform) continue;
    const document = await readArtifactFile(at, referrer.digest, MAX_SBOM_BYTES);
    if (document !== null) return document;
  }
  const place = deps.memory.document(content, format);
  return place === undefined ? null : readRemembered(deps, place, at.signal);
}

/** Reads a remembered document; null: it is gone or unreadable, and is made anew. */
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

/** Names the content of an image by all its blobs: anybody can push other layers under a known configuration. */
async function contentOf(deps: Dependencies, at: RepositoryAt, image: PlatformManifest): Promise<string> {
  const { digest, platform } = image;
  const { manifest } = await at.manifest(digest);
  const tool = (await deps.syft.version()) ?? 'unknown';
  if (manifest.kind !== 'image') return `syft-${tool} ${digest}`;
  refuseForeignLayers(formatPinned(at.repository, digest), manifest.layers, platform);
  const blobs = [manifest.config, ...manifest.layers].map((blob) => blob.digest);
  return `syft-${tool} ${digestOf(new TextEncoder().encode(blobs.join('\n')))}`;
}
