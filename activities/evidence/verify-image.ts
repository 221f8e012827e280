import type { Cosign, Trust } from '../../adapters/cosign.js';
import type { Manifest, ReferrerDescriptor, RegistryReader } from '../../adapters/registry.js';
import type { Digest } from '../../domain/digest.js';
import { HoubaError } from '../../domain/errors.js';
import type { Severity } from '../../domain/evidence/severity.js';
import { explainRefusal } from '../../domain/evidence/upstream/refusal.js';
import {
  attestationTypes,
  type CheckedAttestation,
  type FoundEvidence,
  isPredicateRead,
  judgeEvidence,
  type Requirement,
  type VerifyReport,
} from '../../domain/evidence/verify.js';
import { parseManifest } from '../../domain/manifest.js';
import { formatRepository, type Reference } from '../../domain/reference.js';
import { type RepositoryAt, repositoryAt } from '../repository/repository-at.js';
import { faultOf, readBundles } from './read-bundles.js';

export interface Inspector {
  readonly reader: RegistryReader;
  readonly prefix: string;
  /** Empty: any builder will do. */
  readonly builderId: string;
  /** For signature checks. @throws HoubaError `ConfigInvalid` where no signer is trusted, `ToolMissing` */
  readonly openVerifier: (signal: AbortSignal) => Promise<Verifier>;
}

export interface Verifier {
  readonly cosign: Cosign;
  readonly trust: Trust;
}

export interface VerifyRequest {
  /** The reference as a person wrote it. */
  readonly ref: string;
  readonly reference: Reference;
  readonly requirements: readonly Requirement[];
  readonly maxSeverity: Severity | null;
  readonly maxAgeMs: number | null;
  readonly now: number;
}

/** In bytes; a signed SBOM holds the document in base64. */
const LARGEST_BUNDLE = 192 * 1024 * 1024;

/**
 * Judges an image by its evidence, resolved once (docs/rules/registry-access.md#one-resolution). @throws HoubaError
 * when it cannot be judged: `NotFound`, `ConfigInvalid`, what the reader and cosign throw
 */
export async function verifyImage(
  inspector: Inspector,
  request: VerifyRequest,
  signal: AbortSignal,
): Promise<VerifyReport> {
  const { reader, prefix, builderId } = inspector;
  const { reference, requirements } = request;
  const wanted = new Set(requirements.flatMap(attestationTypes));
  const verifier = wanted.size === 0 ? null : await inspector.openVerifier(signal);

  const manifest = await reader.getManifest(reference, reference.digest ?? reference.tag ?? '', signal);
  if (manifest === null) {
    throw new HoubaError('NotFound', `there is no ${request.ref}`, {
      hint: `look at what ${formatRepository(reference)} holds`,
      facts: { registry: reference.host },
    });
  }
  const { digest } = manifest;
  const at = repositoryAt({ reader, settings: { prefix } }, reference, signal);
  const referrers = await at.referrers(digest);
  const image = { digest, referrers };
  const attestations = verifier === null ? [] : await checkAttestations(at, verifier, image, wanted);

  const found = { manifest: readAnnotations(manifest), referrers, attestations };
  const outcomes = judgeEvidence(requirements, found, { ...request, prefix, builderId, tag: reference.tag });
  const passed = outcomes.every((outcome) => outcome.passed);
  return { schema_version: 1, ref: request.ref, digest, passed, requirements: outcomes };
}

function readAnnotations({ bytes, mediaType }: Manifest): FoundEvidence['manifest'] {
  try {
    return { annotations: parseManifest(bytes, mediaType).annotations };
  } catch (error) {
    return { unusable: faultOf(error) };
  }
}

async function checkAttestations(
  at: RepositoryAt,
  { cosign, trust }: Verifier,
  { digest, referrers }: { readonly digest: Digest; readonly referrers: readonly ReferrerDescriptor[] },
  wanted: ReadonlySet<string>,
): Promise<CheckedAttestation[]> {
  const checked: CheckedAttestation[] = [];
  // One by one: signed SBOMs may be large.
  for await (const bundle of readBundles(at, referrers, wanted, LARGEST_BUNDLE)) {
    const { content, ...named } = bundle;
    if ('fault' in content) {
      checked.push({ ...named, reason: content.fault });
      continue;
    }
    const { predicateType } = named;
    const { predicate, reason } = await cosign.verifyBundle(content.bytes, { digest, predicateType }, trust, at.signal);
    const kept = isPredicateRead(predicateType) ? { predicate } : {};
    checked.push({ ...named, reason: reason === undefined ? null : explainRefusal(reason), ...kept });
  }
  return checked;
}
