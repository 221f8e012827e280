import type { BuildOutput, LayoutManifest } from '../../adapters/oci-layout.js';
import type { Digest } from '../../domain/digest.js';
import { HoubaError } from '../../domain/errors.js';
import type { PlatformManifest } from '../../domain/evidence/sbom.js';
import { IN_TOTO, IN_TOTO_PREDICATE_TYPE } from '../../domain/evidence/statement.js';
import { OCI_INDEX } from '../../domain/manifest.js';
import type { Placement } from '../../domain/plan/work.js';
import { isPlatform } from '../../domain/platform.js';
import { formatPinned, formatRepository, type Repository } from '../../domain/reference.js';
import type { StampedManifest } from '../../domain/stamp/manifest.js';
import { requirePlatforms } from '../../domain/stamp/subset.js';
import { applyTransform, wantedPaths } from '../../domain/transform/apply.js';
import type { PlannedTransform } from '../../domain/transform/planned-transform.js';
import { renderDockerfile } from '../../domain/transform/render.js';
import { planTransform } from '../../domain/transform/resolve.js';
import type { LayerFile } from '../../domain/transform/step.js';
import type { Dependencies } from '../dependencies.js';
import { attachReferrer } from '../repository/attach-referrer.js';
import { readPlatforms } from '../repository/read-manifest.js';
import { repositoryAt } from '../repository/repository-at.js';
import { step } from '../step.js';
import { isUnsignedStatement, withSubject } from './buildkit-provenance.js';
import { readRevision, stampFor } from './make-stamp.js';
import { isStampThere } from './stamp-beside.js';
import { type Inspection, refuseMoved, type WriteRequest } from './write-image.js';

export interface BuildInspection extends Inspection {
  /** One image a platform, before it is stamped. */
  readonly built: readonly BuiltPlatform[];
}

interface BuiltPlatform extends PlatformManifest {
  readonly mediaType: string;
  readonly size: number;
}

/**
 * Rebuilds an image in BuildKit and makes the bytes to publish; writes nothing to a registry.
 * @throws HoubaError `PreconditionFailed` when this worker has other resources than the planner, `PolicyInvalid`,
 * `NotFound` when the digest is gone, `Unsupported`, `BuilderUnavailable`, `BuildFailed`
 */
export function createInspectBuild(deps: Dependencies) {
  return step(async (placement: Placement, { signal, progress }): Promise<BuildInspection> => {
    const rebuild = await openRebuild(deps, placement, signal);
    const built: BuiltPlatform[] = [];
    let body: Body | null = null;
    for (const base of rebuild.bases) {
      progress(base.platform);
      const { image } = await withOutput(deps, { rebuild, base }, async (_layout, output) => output, signal);
      built.push(builtPlatform(base, image));
      body = image;
    }
    if (built.length > 1 || body === null) body = platformIndex(built);
    const { revision, originalPresent } = rebuild;
    const stamped = stampFor(deps, placement, body, revision).digest;
    const stampedPresent = (await deps.reader.headManifest(placement.destination, stamped, signal)) !== null;
    const stampThere = stampedPresent && (await isStampThere(deps, { placement, digest: stamped, revision }, signal));
    return { stamped, revision, stampedPresent, originalPresent, built, ...(stampThere && { stampThere }) };
  });
}

export interface BuildWriteRequest extends WriteRequest {
  readonly inspection: BuildInspection;
}

/**
 * Writes built images and their provenance by digest. Present manifests stay; an output that is gone is built again.
 * @throws HoubaError `DigestMismatch` when that comes out different, and as `inspectBuild` and `refuseMoved`
 */
export function createWriteBuild(deps: Dependencies) {
  return step(async ({ placement, inspection, again }: BuildWriteRequest, { signal, progress }) => {
    if (placement.kind === 'imported' && !again && !isHere(inspection)) await refuseMoved(deps, placement, signal);
    const rebuild = await openRebuild(deps, placement, signal);
    for (const base of rebuild.bases) {
      progress(base.platform);
      await writePlatform(deps, placement, { rebuild, base, inspection }, signal);
    }
    if (inspection.built.length > 1) await writeIndex(deps, placement, inspection, signal);
  });
}

function isHere({ stampedPresent, originalPresent }: Inspection): boolean {
  return stampedPresent || originalPresent;
}

/** A manifest or an index, before it is stamped. */
interface Body {
  readonly bytes: Uint8Array;
  readonly mediaType: string;
}

interface Rebuild {
  readonly transform: PlannedTransform;
  readonly from: Repository;
  readonly originalPresent: boolean;
  readonly revision: string | null;
  readonly bases: readonly Base[];
}

interface Base extends PlatformManifest {
  /** The platform as the policy writes it; what the source says is only compared with it. */
  readonly asked: string;
}

interface PlatformBuild {
  readonly rebuild: Rebuild;
  readonly base: Base;
}

async function openRebuild(deps: Dependencies, placement: Placement, signal: AbortSignal): Promise<Rebuild> {
  const { source, destination, baseDigest, transform } = placement;
  if (transform === null) throw new HoubaError('Internal', 'a placement without a transform is not built');
  refuseOtherSettings(deps, transform);
  const originalPresent = (await deps.reader.headManifest(destination, baseDigest, signal)) !== null;
  const from = originalPresent ? destination : source;
  const at = repositoryAt(deps, from, signal);
  const { manifest } = await at.manifest(baseDigest);
  const platforms = await readPlatforms(at, baseDigest);
  const asked = placement.platforms ?? [deps.settings.buildPlatform];
  const bases = chooseBases(platforms, asked, formatPinned(source, baseDigest));
  const revision = await readRevision(at, manifest, bases[0]?.digest);
  return { transform, from, originalPresent, revision, bases };
}

/** Refuses a transform whose certificates or mirrors differ from those of the plan. */
function refuseOtherSettings(deps: Dependencies, { steps, version }: PlannedTransform): void {
  if (planTransform(steps, deps.resources).version === version) return;
  throw new HoubaError(
    'PreconditionFailed',
    'this worker has other certificates or mirrors than the plan was made with',
    {
      hint: 'give all workers the same HOUBA_TRANSFORM_* settings; the next run plans anew',
    },
  );
}

function chooseBases(platforms: readonly PlatformManifest[], asked: readonly string[], name: string): Base[] {
  const has = platforms.map(({ platform }) => platform);
  requirePlatforms(has, asked, name);
  const chosen = new Map<Digest, Base>();
  for (const wanted of asked) {
    const found = platforms.find(({ platform }) => isPlatform(platform, wanted));
    if (found !== undefined && !chosen.has(found.digest)) chosen.set(found.digest, { ...found, asked: wanted });
  }
  return [...chosen.values()];
}

/** Runs `work` on the build output of a base, built now unless it is in the cache. */
function withOutput<Result>(
  deps: Dependencies,
  { rebuild, base }: PlatformBuild,
  work: (layout: string, output: BuildOutput) => Promise<Result>,
  signal: AbortSignal,
): Promise<Result> {
  const key = `output ${base.digest} ${base.asked} ${rebuild.transform.version}`;
  const fill = (folder: string, until: AbortSignal) => build(deps, { rebuild, base }, folder, until);
  return deps.scratch.use(key, fill, async (layout) => work(layout, await deps.layouts.readBuild(layout)), signal);
}

/** Builds from a base layout, which variants and tags of one digest share. */
async function build(
  deps: Dependencies,
  { rebuild: { transform, from }, base }: PlatformBuild,
  output: string,
  signal: AbortSignal,
): Promise<void> {
  const fetchBase = (folder: string, until: AbortSignal) =>
    deps.regctl.exportImage({ repository: from, digest: base.digest }, folder, until);
  const buildUpon = async (layout: string) => {
    const name = formatPinned(from, base.digest);
    refuseOtherDigests(name, await deps.layouts.readManifest(layout, base.digest));
    const { created, hasOnBuild } = await deps.layouts.readConfig(layout, base.digest);
    if (hasOnBuild) throw wouldRun(name);
    const image = await deps.layers.readImageFiles(layout, base.digest, wantedPaths(transform.steps), signal);
    const layers = new Map<string, readonly LayerFile[]>();
    const rendered = applyTransform(transform.steps, deps.resources, image).map(({ step: name, effect }, index) => {
      const tar = effect.files.length === 0 ? null : `${index + 1}-${name}.tar`;
      if (tar !== null) layers.set(tar, effect.files);
      return { step: name, tar, env: effect.env };
    });
    const request = {
      base: { layout, manifest: base.digest },
      platform: base.asked,
      dockerfile: renderDockerfile(rendered),
      layers,
      sourceDateEpoch: epochOf(created),
      output,
    };
    await deps.buildctl.build(request, signal);
    await deps.layouts.settleBuild(output, request.base);
  };
  await deps.scratch.use(`base ${base.digest}`, fetchBase, buildUpon, signal);
}

/** Refuses digests other than sha256: BuildKit stores no others. */
function refuseOtherDigests(name: string, { digest, manifest }: LayoutManifest): void {
  const blobs = manifest.kind === 'image' ? [manifest.config, ...manifest.layers] : [];
  if ([digest, ...blobs.map((blob) => blob.digest)].every((one) => one.startsWith('sha256:'))) return;
  throw new HoubaError(
    'Unsupported',
    `${name} names its parts by other digests than sha256, with which BuildKit cannot build`,
    {
      hint: 'take it without a transform',
    },
  );
}

/** Refuses ONBUILD: BuildKit would run its instructions and take them out of the image. */
function wouldRun(name: string): HoubaError {
  return new HoubaError('Unsupported', `${name} has ONBUILD instructions, which a rebuild would carry out`, {
    hint: 'take it without a transform, or use the image that it is meant to give',
  });
}

/** The build time of a base, seconds since 1970. A future one counts as 0: it would give each build its own time. */
function epochOf(created: string | null): number {
  const at = Date.parse(created ?? '');
  return at > 0 && at < Date.now() ? Math.floor(at / 1000) : 0;
}

async function writePlatform(
  deps: Dependencies,
  placement: Placement,
  { rebuild, base, inspection }: PlatformBuild & { readonly inspection: BuildInspection },
  signal: AbortSignal,
): Promise<void> {
  const { destination } = placement;
  const expected = inspection.built.find(({ platform }) => platform === base.platform);
  const alone = inspection.built.length === 1;
  const published = alone || expected === undefined ? inspection.stamped : expected.digest;
  const present = (await deps.reader.headManifest(destination, published, signal)) !== null;
  // BuildKit's provenance differs with each build, so that one statement is enough.
  const described =
    present && (await repositoryAt(deps, destination, signal).referrers(published)).some(isUnsignedStatement);
  if (described) return;
  const write = async (layout: string, { image, provenance }: BuildOutput) => {
    if (image.digest !== expected?.digest) throw different(base, expected?.digest, image.digest);
    if (!present) {
      const written = alone ? stampedAs(deps, placement, image, inspection) : null;
      if (written !== null) await deps.layouts.writeManifest(layout, written.bytes);
      await deps.regctl.importImage(layout, published, destination, signal);
    }
    const name = formatRepository(destination);
    const bytes = withSubject(provenance.statement, name, published, 'what BuildKit wrote of its build');
    const annotations = { [IN_TOTO_PREDICATE_TYPE]: provenance.predicateType };
    const artifact = { artifactType: IN_TOTO, annotations, file: { bytes, mediaType: IN_TOTO } };
    await attachReferrer(deps, repositoryAt(deps, destination, signal), published, artifact);
  };
  await withOutput(deps, { rebuild, base }, write, signal);
}

async function writeIndex(
  deps: Dependencies,
  placement: Placement,
  inspection: BuildInspection,
  signal: AbortSignal,
): Promise<void> {
  if ((await deps.reader.headManifest(placement.destination, inspection.stamped, signal)) !== null) return;
  const { digest, mediaType, bytes } = stampedAs(deps, placement, platformIndex(inspection.built), inspection);
  await deps.regctl.putManifest(placement.destination, { digest }, mediaType, bytes, signal);
}

/** @throws HoubaError `DigestMismatch` when the stamped digest is not that of the inspection */
function stampedAs(
  deps: Dependencies,
  placement: Placement,
  body: Body,
  { stamped, revision }: BuildInspection,
): StampedManifest {
  const again = stampFor(deps, placement, body, revision);
  if (again.digest === stamped) return again;
  throw new HoubaError('DigestMismatch', `the stamp was to give ${stamped} and gives ${again.digest}`);
}

function builtPlatform({ platform }: Base, { digest, mediaType, bytes }: LayoutManifest): BuiltPlatform {
  return { platform, digest, mediaType, size: bytes.length };
}

/** Makes the index of the built images: BuildKit's own index would differ each time. */
function platformIndex(built: readonly BuiltPlatform[]): Body {
  const manifests = built.map(({ mediaType, digest, size, platform }) => {
    const [os, architecture, variant] = platform.split('/');
    return { mediaType, digest, size, platform: { architecture, os, ...(variant === undefined ? {} : { variant }) } };
  });
  const document = { schemaVersion: 2, mediaType: OCI_INDEX, manifests };
  return { bytes: new TextEncoder().encode(JSON.stringify(document)), mediaType: OCI_INDEX };
}

function different(base: Base, expected: Digest | undefined, actual: Digest): HoubaError {
  return new HoubaError(
    'DigestMismatch',
    `building ${base.platform} upon ${base.digest} again gave ${actual} instead of ${expected ?? 'nothing'}`,
    {
      hint: 'run again; if it stays so, the BuildKit daemon was changed during the run, or does not honour timestamps',
    },
  );
}
