import type { ReferrerDescriptor } from '../../adapters/registry.js';
import type { Digest } from '../../domain/digest.js';
import { HoubaError } from '../../domain/errors.js';
import {
  BUNDLE_MEDIA_TYPE,
  bundleAnnotations,
  type MissingAttestation,
  missingAttestations,
} from '../../domain/evidence/attestation.js';
import type { StatementFacts } from '../../domain/evidence/facts.js';
import { TRANSFORM_PREDICATE_TYPE, transformPredicate } from '../../domain/evidence/predicates.js';
import { provenancePredicate } from '../../domain/evidence/provenance.js';
import {
  MAX_SBOM_BYTES,
  type PlatformManifest,
  SBOM_MEDIA_TYPES,
  type SbomFormat,
} from '../../domain/evidence/sbom.js';
import { buildStatement, type StatementSubject } from '../../domain/evidence/statement.js';
import { oneAtATime } from '../../domain/one-at-a-time.js';
import { formatPinned, formatTagged } from '../../domain/reference.js';
import type { OperationLine } from '../../domain/report/run/journal.js';
import type { DestinationRepository } from '../../domain/roster.js';
import { prefixedKeys } from '../../domain/stamp/keys.js';
import type { Dependencies } from '../dependencies.js';
import { rememberEvidence } from '../repository/digest-facts.js';
import { readArtifactFile, readPlatforms } from '../repository/read-manifest.js';
import { referrersOf } from '../repository/referrers.js';
import { step } from '../step.js';

type ReferrersOf = ReadonlyMap<Digest, readonly ReferrerDescriptor[]>;

/**
 * Signs everything about a digest that is not signed yet, and attaches each statement to all that it is about (section 7.3;
 * architecture, "Signing meets no upstream"). What is signed already is left alone.
 *
 * Throws `NotFound` when an SBOM is not there yet, and what `Cosign.signStatement` throws.
 * @returns how many referrers were written
 */
export function createSignEvidence(deps: Dependencies) {
  const signing = new Map<string, Promise<unknown>>();
  return step(async (request: SignRequest, { signal }): Promise<number> => {
    const { reader, settings } = deps;
    const { destination, subject, artifactType } = request;
    const formats = artifactType === 'image' ? settings.sbomFormats : [];
    const platforms = await readPlatforms(reader, destination, subject, signal);
    // Tags of one upstream digest share their platforms' manifests, and would sign those twice at once.
    const shared = platforms.map(({ digest }) => formatPinned(destination, digest)).join(' ');
    const written = await oneAtATime(signing, shared, async () => {
      const referrers = await referrersOf(reader, destination, subject, platforms, signal);
      const identity = identityIn(request);
      const whole = { ...request, facts: withPlatforms(request.facts, platforms) };
      const missing = missingAttestations(subject, platforms, formats, referrers, settings.prefix, identity);
      for (const attestation of missing) await attest(deps, whole, attestation, referrers, signal);
      return missing.reduce((count, { lacking }) => count + lacking.length, 0);
    });
    if (request.journal !== null) {
      rememberEvidence(deps, destination, subject, { signedFormats: formats });
      deps.journal.event('operation', { ...request.journal, out_digest: subject, applied: true });
    }
    return written;
  });
}

/** A rebuild says for which platforms it was made. Where the stamp does not, the image does: the settings may have changed. */
function withPlatforms(facts: StatementFacts, platforms: readonly PlatformManifest[]): StatementFacts {
  if (facts.transform === null || facts.platforms !== null) return facts;
  return { ...facts, platforms: platforms.map(({ platform }) => platform) };
}

async function attest(
  deps: Dependencies,
  request: SignRequest,
  attestation: MissingAttestation,
  referrers: ReferrersOf,
  signal: AbortSignal,
): Promise<void> {
  const { predicateType, subjects, lacking } = attestation;
  const { destination } = request;
  const predicate = await predicateOf(deps, request, attestation, referrers, signal);
  const named = subjects.map((digest) => subjectOf(request, digest));
  const bytes = await deps.cosign.signStatement(buildStatement(named, predicateType, predicate), signal);
  for (const target of lacking) {
    const annotations = bundleAnnotations(attestation, target, deps.settings.prefix, identityIn(request));
    const file = { bytes, mediaType: BUNDLE_MEDIA_TYPE };
    await deps.regctl.putArtifact(destination, target, { artifactType: BUNDLE_MEDIA_TYPE, annotations, file }, signal);
  }
}

async function predicateOf(
  deps: Dependencies,
  request: SignRequest,
  { predicateType, platform, format }: MissingAttestation,
  referrers: ReferrersOf,
  signal: AbortSignal,
): Promise<Uint8Array | object> {
  const { builderId, version } = deps.settings;
  if (platform !== null && format !== null) return readDocument(deps, request, platform, format, referrers, signal);
  if (predicateType === TRANSFORM_PREDICATE_TYPE) return transformPredicate(request.facts, builderId);
  return provenancePredicate(request.facts, { id: builderId, version });
}

/** The document on the platform's own manifest, which describes nothing else. */
async function readDocument(
  deps: Dependencies,
  { destination }: SignRequest,
  { digest, platform }: PlatformManifest,
  format: SbomFormat,
  referrers: ReferrersOf,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const key = prefixedKeys(deps.settings.prefix)?.sbomPlatform;
  const documents = (referrers.get(digest) ?? []).filter(
    ({ artifactType, annotations }) =>
      artifactType === SBOM_MEDIA_TYPES[format] && (key === undefined || Object.hasOwn(annotations, key)),
  );
  const document = documents.find(({ annotations }) => annotations[key ?? ''] === platform) ?? documents[0];
  if (document === undefined) {
    throw new HoubaError('NotFound', `${formatPinned(destination, digest)} has no ${format} document to sign`, {
      hint: 'the SBOM comes first; the next run makes it',
    });
  }
  const bytes = await readArtifactFile(deps.reader, destination, document.digest, MAX_SBOM_BYTES, signal);
  if (bytes !== null) return bytes;
  throw new HoubaError('Unsupported', `${formatPinned(destination, document.digest)} holds no document to sign`);
}

/** What the tag will show goes by the tag, a platform's manifest by its digest. */
function subjectOf({ destination, tag, subject }: SignRequest, digest: Digest): StatementSubject {
  return { name: digest === subject ? formatTagged(destination, tag) : formatPinned(destination, digest), digest };
}

function identityIn({ tag, facts }: SignRequest) {
  return { tag, policy: facts.policy, import: facts.import, variant: facts.variant };
}

/** The input of `signEvidence`: everything about one digest that still lacks a signature is signed. */
export interface SignRequest {
  readonly destination: DestinationRepository;
  /** The output tag, for the name of the subject. */
  readonly tag: string;
  readonly subject: Digest;
  readonly artifactType: 'image' | 'helmChart' | 'generic';
  readonly facts: StatementFacts;
  /** How the journal tells of a back-fill; null inside a placement. */
  readonly journal: Partial<OperationLine> | null;
}
