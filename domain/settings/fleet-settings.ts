import type { SbomFormat } from '../evidence/sbom.js';
import type { RetentionLevel } from '../lifecycle/retention.js';
import type { WaitSettings } from '../lifecycle/settle.js';

/** Settings that steps go by. The worker's settings extend them: none is copied. */
export interface FleetSettings {
  /** Prefix of annotation keys (`HOUBA_LABEL_PREFIX`); empty: only OCI's own keys. */
  readonly prefix: string;
  readonly dryRunTags: boolean;
  readonly dryRunDeletions: boolean;
  readonly deletionMode: 'purge' | 'mark';
  readonly maxDeletionShare: number;
  readonly stability: WaitSettings & { readonly newTags: boolean };
  readonly retention: RetentionLevel | null;
  /** Idle time before a marked tag goes; null: purge is not set up. */
  readonly purgeMinIdleMs: number | null;
  readonly purgeRequireApproval: boolean;
  /** Platform of rebuilds where the policy names none. */
  readonly buildPlatform: string;
  readonly sbomFormats: readonly SbomFormat[];
  readonly maxConcurrency: number;
  /** Key service addresses that a policy may name (`HOUBA_VERIFY_KMS`). */
  readonly verifyKms: readonly string[];
  readonly attest: {
    /** `''`: nothing is signed. */
    readonly signer: '' | 'keyless' | 'kms' | 'key';
    readonly builderId: string;
  };
  readonly policyDir: string | null;
}
