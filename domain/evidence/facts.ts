import type { Digest } from '../digest.js';
import type { Repository } from '../reference.js';
import type { PlannedTransform } from '../transform/planned-transform.js';

/**
 * Whose signature of the source digest a policy demands before anything is imported
 * (docs/rules/evidence.md#upstreams-signature-is-demanded-before-anything-is-read, `verifyUpstream`).
 */
export type UpstreamSigner = { readonly key: string } | { readonly identity: string; readonly issuer: string };

/** What the statements about a placed image say; nothing that only the registry knows, and no secret. */
export interface StatementFacts {
  readonly policy: string;
  readonly import: string;
  readonly variant: string;
  readonly source: Repository;
  readonly sourceTag: string;
  readonly baseDigest: Digest;
  /** ISO 8601: of the placement; in a back-fill, of the run (docs/rules/evidence.md#recorded-facts-in-a-backfill). */
  readonly created: string;
  /** null: all that the source has; of a rebuild, those that the image turns out to have. */
  readonly platforms: readonly string[] | null;
  readonly transform: PlannedTransform | null;
  readonly stampTo: 'annotations' | 'referrer';
  readonly upstreamVerified: string | null;
}
