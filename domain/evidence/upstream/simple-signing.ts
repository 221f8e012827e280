import { sha256 } from '@noble/hashes/sha2.js';
import { hexToBytes } from '@noble/hashes/utils.js';
import { z } from 'zod';
import { type Digest, isDigest } from '../../digest.js';
import { jsonOrNull } from '../../text/json.js';

/** A signature on a layer of `sha256-<hex>.sig`, as cosign kept them before bundles. */
export interface LayerSignature {
  readonly base64: string;
  /** PEM; absent: signed with a key. The fields below are JSON. */
  readonly certificate?: string;
  readonly rekorBundle?: string;
  readonly timestamp?: string;
}

export const SIMPLE_SIGNING_MEDIA_TYPE = 'application/vnd.dev.cosign.simplesigning.v1+json';

/** Reads the signature on a layer; null: none. The chain is left out: cosign would trust its last certificate. */
export function signatureOnLayer(annotations: Readonly<Record<string, string>>): LayerSignature | null {
  const read = (key: string) => (Object.hasOwn(annotations, key) ? annotations[key] || undefined : undefined);
  const base64 = read('dev.cosignproject.cosign/signature');
  if (base64 === undefined) return null;
  const certificate = read('dev.sigstore.cosign/certificate');
  const rekorBundle = read('dev.sigstore.cosign/bundle');
  const timestamp = read('dev.sigstore.cosign/rfc3161timestamp');
  return {
    base64,
    ...(certificate !== undefined && { certificate }),
    ...(rekorBundle !== undefined && { rekorBundle }),
    ...(timestamp !== undefined && { timestamp }),
  };
}

const Payload = z.object({
  critical: z.object({
    type: z.literal('cosign container image signature'),
    image: z.object({ 'docker-manifest-digest': z.string() }),
  }),
});

/** Reads the digest that a signature is about; null: it is no image signature. */
export function digestInPayload(payload: Uint8Array): Digest | null {
  const parsed = Payload.safeParse(jsonOrNull(payload));
  const digest = parsed.data?.critical.image['docker-manifest-digest'];
  return digest !== undefined && isDigest(digest) ? digest : null;
}

/** Converts to a Sigstore bundle 0.1, as later versions demand an inclusion proof; malformed parts are left out. */
export function bundleOfSignature(payload: Uint8Array, signature: LayerSignature): Uint8Array {
  const entry = logEntry(signature.rekorBundle);
  const time = Timestamp.safeParse(jsonOrNull(signature.timestamp ?? '')).data?.SignedRFC3161Timestamp;
  const bundle = {
    mediaType: 'application/vnd.dev.sigstore.bundle+json;version=0.1',
    verificationMaterial: {
      ...(signature.certificate === undefined
        ? { publicKey: { hint: '' } }
        : { x509CertificateChain: { certificates: [{ rawBytes: firstOfPem(signature.certificate) }] } }),
      tlogEntries: entry === null ? [] : [entry],
      ...(time !== undefined && { timestampVerificationData: { rfc3161Timestamps: [{ signedTimestamp: time }] } }),
    },
    messageSignature: {
      messageDigest: { algorithm: 'SHA2_256', digest: toBase64(sha256(payload)) },
      signature: signature.base64,
    },
  };
  return new TextEncoder().encode(JSON.stringify(bundle));
}

const Timestamp = z.object({ SignedRFC3161Timestamp: z.base64() });

const RekorBundle = z.object({
  SignedEntryTimestamp: z.base64(),
  Payload: z.object({
    body: z.base64(),
    integratedTime: z.int().min(0),
    logIndex: z.int().min(0),
    logID: z.string().regex(/^([0-9a-f]{2})+$/),
  }),
});

const LogBody = z.object({ kind: z.string(), apiVersion: z.string() });

function logEntry(rekorBundle: string | undefined): object | null {
  const kept = RekorBundle.safeParse(jsonOrNull(rekorBundle ?? '')).data;
  if (kept === undefined) return null;
  const { body, integratedTime, logIndex, logID } = kept.Payload;
  const said = LogBody.safeParse(jsonOrNull(atob(body))).data;
  if (said === undefined) return null;
  return {
    // The JSON of protobuf has 64-bit numbers as strings.
    logIndex: String(logIndex),
    logId: { keyId: toBase64(hexToBytes(logID)) },
    kindVersion: { kind: said.kind, version: said.apiVersion },
    integratedTime: String(integratedTime),
    inclusionPromise: { signedEntryTimestamp: kept.SignedEntryTimestamp },
    canonicalizedBody: body,
  };
}

function firstOfPem(pem: string): string {
  const body = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/.exec(pem)?.[1];
  return (body ?? '').replace(/\s/g, '');
}

function toBase64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}
