import type { ReferrerDescriptor } from '../../adapters/registry.js';
import type { Digest } from '../../domain/digest.js';
import { HoubaError } from '../../domain/errors.js';
import {
  bundleAnnotations,
  bundleArtifact,
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
import { attachReferrer } from '../repository/attach-referrer.js';
import { rememberEvidence } from '../repository/digest-facts.js';
import { readArtifactFile, readPlatforms } from '../repository/read-manifest.js';
import { referrersOf } from '../repository/referrers.js';
import { type RepositoryAt, repositoryAt } from '../repository/repository-at.js';
import { step } from '../step.js';

type ReferrersOf = ReadonlyMap<Digest, readonly ReferrerDescriptor[]>;

interface Attesting extends MissingAttestation {
  readonly referrers: ReferrersOf;
}

/**
 * Signs the statements about a digest that are not signed yet, and attaches each to all its subjects
 * (docs/rules/evidence.md#signing-meets-no-upstream). @returns the number of referrers written
 * @throws HoubaError `NotFound` when an SBOM is not there yet, and what `Cosign.signStatement` throws
 */
export function createSignEvidence(deps: Dependencies) {
  const signing = new Map<string, Promise<unknown>>();
  return step(async (request: SignRequest, { signal }): Promise<number> => {
    const { settings } = deps;
    const { destination, subject, artifactType } = request;
    const formats = artifactType === 'image' ? settings.sbomFormats : [];
    const at = repositoryAt(deps, destination, signal);
    const platforms = await readPlatforms(at, subject);
    // Tags of one upstream digest share platform manifests, and would sign those twice at once.
    const shared = platforms.map(({ digest }) => formatPinned(destination, digest)).join(' ');
    const written = await oneAtATime(signing, shared, async () => {
      const referrers = await referrersOf(at, subject, platforms);
      const identity = identityIn(request);
      const whole = { ...request, facts: withPlatforms(request.facts, platforms) };
      const missing = missingAttestations(subject, platforms, formats, referrers, settings.prefix, identity);
      for (const attestation of missing) await attest(deps, at, whole, { ...attestation, referrers });
      return missing.reduce((count, { lacking }) => count + lacking.length, 0);
    });
    if (request.journal !== null) {
      rememberEvidence(deps, destination, subject, { signedFormats: formats });
      deps.journal.event('operation', { ...request.journal, out_digest: subject, applied: true });
    }
    return written;
  });
}

/** Adds the platforms of a rebuild. Where the stamp names none, the image does: the settings may have changed since. */
function withPlatforms(facts: StatementFacts, platforms: readonly PlatformManifest[]): StatementFacts {
  if (facts.transform === null || facts.platforms !== null) return facts;
  return { ...facts, platforms: platforms.map(({ platform }) => platform) };
}

async function attest(
  deps: Dependencies,
  at: RepositoryAt,
  request: SignRequest,
  attestation: Attesting,
): Promise<void> {
  const { predicateType, subjects, lacking } = attestation;
  const { prefix, signal } = at;
  const predicate = await predicateOf(deps, at, request, attestation);
  const named = subjects.map((digest) => subjectOf(request, digest));
  const bytes = await deps.cosign.signStatement(buildStatement(named, predicateType, predicate), signal);
  for (const target of lacking) {
    const annotations = bundleAnnotations(attestation, target, prefix, identityIn(request));
    await attachReferrer(deps, at, target, bundleArtifact(bytes, annotations, prefix));
  }
}

async function predicateOf(
  deps: Dependencies,
  at: RepositoryAt,
  request: SignRequest,
  { predicateType, platform, format, referrers }: Attesting,
): Promise<Uint8Array | object> {
  const { builderId } = deps.settings.attest;
  if (platform !== null && format !== null) return readDocument(at, platform, format, referrers);
  if (predicateType === TRANSFORM_PREDICATE_TYPE) return transformPredicate(request.facts, builderId);
  return provenancePredicate(request.facts, { id: builderId, version: deps.version });
}

/** Reads the SBOM on the platform's own manifest: one on an index may describe another platform. */
async function readDocument(
  at: RepositoryAt,
  { digest, platform }: PlatformManifest,
  format: SbomFormat,
  referrers: ReferrersOf,
): Promise<Uint8Array> {
  const key = prefixedKeys(at.prefix)?.sbomPlatform;
  const documents = (referrers.get(digest) ?? []).filter(
    ({ artifactType, annotations }) =>
      artifactType === SBOM_MEDIA_TYPES[format] && (key === undefined || Object.hasOwn(annotations, key)),
  );
  const document = documents.find(({ annotations }) => annotations[key ?? ''] === platform) ?? documents[0];
  if (document === undefined) {
    throw new HoubaError('NotFound', `${formatPinned(at.repository, digest)} has no ${format} document to sign`, {
      hint: 'the SBOM comes first; the next run makes it',
    });
  }
  const bytes = await readArtifactFile(at, document.digest, MAX_SBOM_BYTES);
  if (bytes !== null) return bytes;
  throw new HoubaError('Unsupported', `${formatPinned(at.repository, document.digest)} holds no document to sign`);
}

/** Names a subject of a statement: the digest of the tag by the tag, a platform's manifest by its digest. */
function subjectOf({ destination, tag, subject }: SignRequest, digest: Digest): StatementSubject {
  return { name: digest === subject ? formatTagged(destination, tag) : formatPinned(destination, digest), digest };
}

function identityIn({ tag, facts }: SignRequest) {
  return { tag, policy: facts.policy, import: facts.import, variant: facts.variant };
}

export interface SignRequest {
  readonly destination: DestinationRepository;
  readonly tag: string;
  readonly subject: Digest;
  readonly artifactType: 'image' | 'helmChart' | 'generic';
  readonly facts: StatementFacts;
  /** The journal line of a backfill; null inside a placement. */
  readonly journal: Partial<OperationLine> | null;
}
