import type { SbomFormat } from '../evidence/sbom.js';
import type { RetentionLevel } from '../lifecycle/retention.js';
import type { WaitSettings } from '../lifecycle/settle.js';

/** The settings that steps go by. The worker's own settings are these and more: none is copied. */
export interface FleetSettings {
  /** Of annotation keys (`HOUBA_LABEL_PREFIX`). Empty: only OCI's own keys. */
  readonly prefix: string;
  readonly dryRunTags: boolean;
  readonly dryRunDeletions: boolean;
  readonly deletionMode: 'purge' | 'mark';
  /** 0 to 1. */
  readonly maxDeletionShare: number;
  readonly stability: WaitSettings & { readonly newTags: boolean };
  /** null: there is none. */
  readonly retention: RetentionLevel | null;
  /** How long a marked tag must be unused before it goes; null: purge is not set up. */
  readonly purgeMinIdleMs: number | null;
  /** Whether somebody has to approve every deletion of purge. */
  readonly purgeRequireApproval: boolean;
  /** Of rebuilds where the policy names none. */
  readonly buildPlatform: string;
  readonly sbomFormats: readonly SbomFormat[];
  readonly maxConcurrency: number;
  /** What the address of a key in a key service may begin with that a policy names for upstream. */
  readonly verifyKms: readonly string[];
  readonly attest: {
    /** `''` when nothing is signed. */
    readonly signer: '' | 'keyless' | 'kms' | 'key';
    /** Names this installation in predicates; empty: the product's own name. */
    readonly builderId: string;
  };
  /** Absolute, or null. */
  readonly policyDir: string | null;
}
