import type { Digest } from '../digest.js';
import type { Repository } from '../reference.js';
import type { PlannedTransform } from '../transform/planned-transform.js';

/** `verifyUpstream` (docs/rules/evidence.md#upstreams-signature-is-demanded-before-anything-is-read). */
export type UpstreamSigner = { readonly key: string } | { readonly identity: string; readonly issuer: string };

/** Facts of statements: no secret, and nothing that only the registry knows. */
export interface StatementFacts {
  readonly policy: string;
  readonly import: string;
  readonly variant: string;
  readonly source: Repository;
  readonly sourceTag: string;
  readonly baseDigest: Digest;
  /** ISO 8601 (docs/rules/evidence.md#recorded-facts-in-a-backfill). */
  readonly created: string;
  /** null: all; of a rebuild, those of the image. */
  readonly platforms: readonly string[] | null;
  readonly transform: PlannedTransform | null;
  readonly stampTo: 'annotations' | 'referrer';
  readonly upstreamVerified: string | null;
}
