import type { Digest } from '../digest.js';
import type { Repository } from '../reference.js';
import type { PlannedTransform } from '../transform/planned-transform.js';

/** A demanded signer (docs/rules/evidence.md#upstreams-signature-is-demanded-before-anything-is-read). */
export type UpstreamSigner = { readonly key: string } | { readonly identity: string; readonly issuer: string };

/** The facts that statements tell; none is secret or known to the registry alone. */
export interface StatementFacts {
  readonly policy: string;
  readonly import: string;
  readonly variant: string;
  readonly source: Repository;
  readonly sourceTag: string;
  readonly baseDigest: Digest;
  /** ISO 8601 (docs/rules/evidence.md#recorded-facts-in-a-backfill). */
  readonly created: string;
  /** null: all that the source has; a rebuild names them. */
  readonly platforms: readonly string[] | null;
  readonly transform: PlannedTransform | null;
  readonly stampTo: 'annotations' | 'referrer';
  readonly upstreamVerified: string | null;
}
