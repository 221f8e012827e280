import type { Cosign, Trust } from '../../adapters/cosign.js';
import type { Digest } from '../../domain/digest.js';
import { HoubaError } from '../../domain/errors.js';
import type { UpstreamSigner } from '../../domain/evidence/facts.js';
import { explainRefusal } from '../../domain/evidence/upstream/refusal.js';
import {
  digestInPayload,
  type LayerSignature,
  SIMPLE_SIGNING_MEDIA_TYPE,
  signatureOnLayer,
} from '../../domain/evidence/upstream/simple-signing.js';
import {
  publicKeyFingerprint,
  refuseKeyService,
  upstreamKeyProblem,
} from '../../domain/evidence/upstream/upstream-key.js';
import type { Descriptor } from '../../domain/manifest.js';
import { formatPinned, isTag, type Repository } from '../../domain/reference.js';
import type { Dependencies } from '../dependencies.js';
import { faultOf, readBundles } from '../evidence/read-bundles.js';
import { type RepositoryAt, repositoryAt } from '../repository/repository-at.js';
import { step } from '../step.js';

export interface UpstreamRequest {
  readonly source: Repository;
  readonly digest: Digest;
  readonly signer: UpstreamSigner;
}

interface VerifyUpstreamDependencies extends Pick<Dependencies, 'reader' | 'cosign'> {
  readonly settings: Pick<Dependencies['settings'], 'verifyKms'>;
}

interface Looking {
  /** The source, read without a prefix: upstream's signatures bear no keys of houba's. */
  readonly at: RepositoryAt;
  readonly cosign: Cosign;
  readonly digest: Digest;
  readonly trust: Trust;
}

/** The predicate type of `cosign sign` in a Sigstore bundle. */
const SIGNATURE_PREDICATE_TYPE = 'https://sigstore.dev/cosign/sign/v1';

/** Some images are signed anew every night. The newest are checked first where the order tells. */
const MOST_SIGNATURES = 100;
const LARGEST_BUNDLE = 1024 * 1024;
const LARGEST_PAYLOAD = 64 * 1024;

/**
 * Demands a cosign signature (docs/rules/evidence.md#upstreams-signature-is-demanded-before-anything-is-read), in a
 * bundle or the older image `sha256-<hex>.sig`. cosign meets no registry. @returns the value of
 * `{prefix}.upstream.verified`
 * @throws HoubaError `SignatureInvalid` when there is none that is valid; anything else when that cannot be found out
 */
export function createVerifyUpstream(deps: VerifyUpstreamDependencies) {
  return step(async ({ source, digest, signer }: UpstreamRequest, { signal }): Promise<string> => {
    const { trust, name, text } = await trustIn(deps, signer, signal);
    const at = repositoryAt({ reader: deps.reader, settings: { prefix: '' } }, source, signal);
    const looking = { at, cosign: deps.cosign, digest, trust };
    const refused = new Set<string>();
    let looked = 0;
    for await (const reason of judgements(looking)) {
      if (reason === null) return text;
      refused.add(reason);
      if (++looked === MOST_SIGNATURES) {
        refused.add(`only ${MOST_SIGNATURES} signatures are looked at`);
        break;
      }
    }
    const why =
      refused.size === 0
        ? 'is not signed: no cosign signature of this digest is there'
        : `has no valid signature by ${name}: ${few([...refused])}`;
    throw new HoubaError('SignatureInvalid', `${formatPinned(source, digest)} ${why}`, {
      hint: 'it is not imported; ask whoever publishes it, and check verifyUpstream in the policy',
      facts: { registry: source.host, digest },
    });
  });
}

async function trustIn(
  { cosign, settings }: VerifyUpstreamDependencies,
  signer: UpstreamSigner,
  signal: AbortSignal,
): Promise<{ trust: Trust; name: string; text: string }> {
  if ('identity' in signer) {
    const { identity, issuer } = signer;
    const trust = { identity, identityRegexp: null, issuer };
    return { trust, name: `${identity} (${issuer})`, text: `${identity} ${issuer}` };
  }
  const { key } = signer;
  const problem = upstreamKeyProblem(key);
  if (problem !== null) throw new HoubaError('PolicyInvalid', `verifyUpstream.key ${problem}`);
  // Checked again: this worker may have other settings than the planner's.
  refuseKeyService(key, settings.verifyKms, '');
  const publicKey = await (key.startsWith('/') ? cosign.publicKeyFile(key) : cosign.publicKey(key, signal));
  const fingerprint = publicKeyFingerprint(publicKey);
  return { trust: { publicKey }, name: `the key ${fingerprint}`, text: fingerprint };
}

/** Verifies each signature, and yields what is wrong with it; null: it is valid. */
async function* judgements(looking: Looking): AsyncGenerator<string | null> {
  yield* judgeBundles(looking);
  yield* judgeLayers(looking);
}

async function* judgeBundles({ at, cosign, digest, trust }: Looking): AsyncGenerator<string | null> {
  const referrers = await at.referrers(digest);
  const wanted = new Set([SIGNATURE_PREDICATE_TYPE]);
  for await (const { content } of readBundles(at, referrers, wanted, LARGEST_BUNDLE)) {
    if ('fault' in content) {
      yield content.fault;
      continue;
    }
    const claim = { digest, predicateType: SIGNATURE_PREDICATE_TYPE };
    const { reason } = await cosign.verifyBundle(content.bytes, claim, trust, at.signal);
    yield reason === undefined ? null : explainRefusal(reason);
  }
}

async function* judgeLayers(looking: Looking): AsyncGenerator<string | null> {
  let layers: readonly Descriptor[];
  try {
    layers = await signatureLayers(looking);
  } catch (error) {
    yield faultOf(error);
    return;
  }
  const payloads = new Map<Digest, Payload>();
  // The newest are at the end.
  for (const layer of layers.toReversed()) {
    const signature = signatureOnLayer(layer.annotations ?? {});
    if (layer.mediaType !== SIMPLE_SIGNING_MEDIA_TYPE || signature === null) continue;
    const payload = payloads.get(layer.digest) ?? (await readPayload(looking, layer.digest));
    payloads.set(layer.digest, payload);
    if ('fault' in payload) yield payload.fault;
    else yield await judgeSignature(looking, payload.bytes, signature);
  }
}

/** Lists the layers of the image `sha256-<hex>.sig`; none where there is no such image. */
async function signatureLayers({ at, digest }: Looking): Promise<readonly Descriptor[]> {
  const tag = `${digest.replace(':', '-')}.sig`;
  const manifest = isTag(tag) ? (await at.findManifest(tag))?.manifest : undefined;
  return manifest?.kind === 'image' ? manifest.layers : [];
}

type Payload = { readonly bytes: Uint8Array } | { readonly fault: string };

/** Reads the payload that a signature covers: only these bytes say which digest is signed. */
async function readPayload({ at, digest }: Looking, payload: Digest): Promise<Payload> {
  try {
    const bytes = await at.blob(payload, LARGEST_PAYLOAD);
    const signed = digestInPayload(bytes);
    if (signed === digest) return { bytes };
    return { fault: signed === null ? 'a payload that names no digest' : `a signature of another digest, ${signed}` };
  } catch (error) {
    return { fault: faultOf(error) };
  }
}

async function judgeSignature(
  { at, cosign, trust }: Looking,
  payload: Uint8Array,
  signature: LayerSignature,
): Promise<string | null> {
  const { valid, reason } = await cosign.verifyBlob(payload, signature, trust, at.signal);
  return valid ? null : explainRefusal(reason);
}

function few(reasons: readonly string[]): string {
  const more = reasons.length > 3 ? `; and ${reasons.length - 3} more` : '';
  return `${reasons.slice(0, 3).join('; ')}${more}`;
}
