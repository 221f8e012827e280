import { type Digest, digestOf } from '../digest.js';
import { prefixedKeys } from '../stamp/keys.js';
import { TRANSFORM_PREDICATE_TYPE } from './predicates.js';
import { PROVENANCE_PREDICATE_TYPE } from './provenance.js';
import { type PlatformManifest, SBOM_PREDICATE_TYPES, type SbomFormat, type SbomReferrer } from './sbom.js';

/** Common start of the media types of Sigstore bundles, of all versions. */
export const ANY_BUNDLE = 'application/vnd.dev.sigstore.bundle';

/** Artifact and layer type of a signed statement (docs/rules/evidence.md#media-types-are-the-standards). */
export const BUNDLE_MEDIA_TYPE = `${ANY_BUNDLE}.v0.3+json`;

/** Annotations by which cosign and others find a bundle. */
const CONTENT_KEY = 'dev.sigstore.bundle.content';
export const BUNDLE_PREDICATE_TYPE = 'dev.sigstore.bundle.predicateType';

export interface MissingAttestation {
  readonly predicateType: string;
  /** null: a statement about the whole image. */
  readonly platform: PlatformManifest | null;
  readonly format: SbomFormat | null;
  readonly subjects: readonly Digest[];
  readonly lacking: readonly Digest[];
}

/** The placement that a statement is about: two tags may show the same bytes. */
export interface StatementIdentity {
  readonly tag: string;
  readonly policy: string;
  readonly import: string;
  readonly variant: string;
}

type Attestation = Omit<MissingAttestation, 'lacking'>;

/**
 * Finds the statements that are not signed yet (docs/rules/evidence.md#each-kind-is-tracked-by-itself).
 * @param platforms for a single image, the image itself; none for other artifacts, which have no SBOMs either
 * @param identity null: statements made for any tag count
 */
export function missingAttestations(
  subject: Digest,
  platforms: readonly PlatformManifest[],
  formats: readonly SbomFormat[],
  referrersOf: ReadonlyMap<Digest, readonly SbomReferrer[]>,
  prefix: string,
  identity: StatementIdentity | null = null,
): MissingAttestation[] {
  const missing: MissingAttestation[] = [];
  for (const attestation of wantedAttestations(subject, platforms, formats)) {
    const lacking = attestation.subjects.filter((target) => {
      const wanted = bundleAnnotations(attestation, target, prefix, identity);
      return !(referrersOf.get(target) ?? []).some((referrer) => isBundle(referrer, wanted));
    });
    if (lacking.length > 0) missing.push({ ...attestation, lacking });
  }
  return missing;
}

/** Builds the annotations of a bundle; statements about the whole image bear the identity. */
export function bundleAnnotations(
  attestation: Attestation,
  target: Digest,
  prefix: string,
  identity: StatementIdentity | null,
): Record<string, string> {
  const { predicateType, platform, format, subjects } = attestation;
  const annotations: Record<string, string> = signedAs(predicateType);
  const keys = prefixedKeys(prefix);
  if (keys === null) return annotations;
  const about = platform?.digest ?? subjects[0];
  const operation = ['attest', predicateType, target, about, platform?.platform ?? null, format];
  annotations[keys.operation] = digestOf(new TextEncoder().encode(JSON.stringify(operation)));
  if (platform !== null && format !== null) {
    annotations[keys.sbomPlatform] = platform.platform;
    annotations[keys.sbomFormat] = format;
  } else if (identity !== null) {
    annotations[keys.tag] = identity.tag;
    annotations[keys.policy] = identity.policy;
    annotations[keys.import] = identity.import;
    annotations[keys.variant] = identity.variant;
  }
  return annotations;
}

/**
 * Builds the artifact that holds a bundle. @param annotations from `bundleAnnotations`, or `signedAs` and more; the blob
 * is named beside them (docs/rules/evidence.md#a-bundle-is-read-in-one-request)
 */
export function bundleArtifact(bytes: Uint8Array, annotations: Readonly<Record<string, string>>, prefix: string) {
  const keys = prefixedKeys(prefix);
  return {
    artifactType: BUNDLE_MEDIA_TYPE,
    annotations: { ...annotations, ...(keys === null ? {} : { [keys.bundle]: digestOf(bytes) }) },
    file: { bytes, mediaType: BUNDLE_MEDIA_TYPE },
  };
}

/** Builds the annotations by which everybody finds a bundle. */
export function signedAs(predicateType: string): Record<string, string> {
  return { [CONTENT_KEY]: 'dsse-envelope', [BUNDLE_PREDICATE_TYPE]: predicateType };
}

function wantedAttestations(
  subject: Digest,
  platforms: readonly PlatformManifest[],
  formats: readonly SbomFormat[],
): Attestation[] {
  const everything = [...new Set([subject, ...platforms.map(({ digest }) => digest)])];
  const whole = { platform: null, format: null, subjects: everything };
  const wanted: Attestation[] = [
    { predicateType: TRANSFORM_PREDICATE_TYPE, ...whole },
    { predicateType: PROVENANCE_PREDICATE_TYPE, ...whole },
  ];
  for (const platform of platforms) {
    const subjects = [...new Set([platform.digest, subject])];
    for (const format of formats) {
      wanted.push({ predicateType: SBOM_PREDICATE_TYPES[format], platform, format, subjects });
    }
  }
  return wanted;
}

function isBundle({ artifactType, annotations }: SbomReferrer, wanted: Readonly<Record<string, string>>): boolean {
  if (artifactType !== BUNDLE_MEDIA_TYPE) return false;
  return Object.entries(wanted).every(([key, value]) => Object.hasOwn(annotations, key) && annotations[key] === value);
}
