import type { ReferrerDescriptor } from '../../adapters/registry.js';
import { type Digest, isDigest } from '../../domain/digest.js';
import { HoubaError } from '../../domain/errors.js';
import { ANY_BUNDLE, BUNDLE_PREDICATE_TYPE } from '../../domain/evidence/attestation.js';
import { prefixedKeys } from '../../domain/stamp/keys.js';
import type { RepositoryAt } from '../repository/repository-at.js';

/** A Sigstore bundle attached to a manifest, not verified yet. */
interface AttachedBundle {
  readonly referrer: Digest;
  readonly predicateType: string;
  readonly annotations: Readonly<Record<string, string>>;
  /** The bytes, or why they cannot be had. */
  readonly content: { readonly bytes: Uint8Array } | { readonly fault: string };
}

/**
 * Reads the bundles among some referrers that claim a wanted predicate type, `largest` bytes each. An unreadable one is
 * a fault of its own: it must not hide the others. @throws HoubaError when the registry cannot be asked
 */
export async function* readBundles(
  at: RepositoryAt,
  referrers: readonly ReferrerDescriptor[],
  wanted: ReadonlySet<string>,
  largest: number,
): AsyncGenerator<AttachedBundle> {
  for (const referrer of referrers) {
    if (!referrer.artifactType.startsWith(ANY_BUNDLE)) continue;
    const said = referrer.annotations[BUNDLE_PREDICATE_TYPE];
    if (said !== undefined && !wanted.has(said)) continue;
    const bundle = await readBundle(at, referrer, wanted, largest);
    if (bundle !== null) yield bundle;
  }
}

async function readBundle(
  at: RepositoryAt,
  referrer: ReferrerDescriptor,
  wanted: ReadonlySet<string>,
  largest: number,
): Promise<AttachedBundle | null> {
  // Not every registry repeats annotations in its list of referrers.
  let { annotations } = referrer;
  const bundle = (content: AttachedBundle['content']): AttachedBundle | null => {
    const predicateType = annotations[BUNDLE_PREDICATE_TYPE];
    return predicateType === undefined ? null : { referrer: referrer.digest, predicateType, annotations, content };
  };
  try {
    const named = await readNamedBlob(at, referrer, largest);
    if (named !== null) return bundle({ bytes: named });
    const { manifest } = await at.manifest(referrer.digest);
    annotations = manifest.annotations;
    if (!wanted.has(annotations[BUNDLE_PREDICATE_TYPE] ?? '')) return null;
    const layer = manifest.kind === 'image' ? manifest.layers[0] : undefined;
    if (layer === undefined) return bundle({ fault: 'it holds no bundle' });
    return bundle({ bytes: await at.blob(layer.digest, largest) });
  } catch (error) {
    return bundle({ fault: faultOf(error) });
  }
}

/**
 * Reads the blob that the list of referrers names, where it also names the predicate type
 * (docs/rules/evidence.md#a-bundle-is-read-in-one-request); null: it names none, or one that cannot be had
 */
async function readNamedBlob(
  at: RepositoryAt,
  { annotations }: ReferrerDescriptor,
  largest: number,
): Promise<Uint8Array | null> {
  const key = prefixedKeys(at.prefix)?.bundle;
  const named = key !== undefined && Object.hasOwn(annotations, key) ? annotations[key] : undefined;
  if (named === undefined || !isDigest(named) || annotations[BUNDLE_PREDICATE_TYPE] === undefined) return null;
  try {
    return await at.blob(named, largest);
  } catch (error) {
    faultOf(error);
    return null;
  }
}

/** Says what is wrong with content that a registry served. @throws the error itself when it is about the registry */
export function faultOf(error: unknown): string {
  if (error instanceof HoubaError && ['NotFound', 'Unsupported', 'DigestMismatch'].includes(error.code)) {
    return error.message;
  }
  throw error;
}
