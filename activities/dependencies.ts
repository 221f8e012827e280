import type { Buildctl } from '../adapters/buildctl.js';
import type { Cosign, Trust } from '../adapters/cosign.js';
import type { DigestMemory } from '../adapters/digest-memory.js';
import type { FolderCache } from '../adapters/folder-cache.js';
import type { ImageLayers } from '../adapters/image-layers.js';
import type { OciLayouts } from '../adapters/oci-layout.js';
import type { Regctl } from '../adapters/regctl.js';
import type { RegistryReader } from '../adapters/registry.js';
import type { Syft } from '../adapters/syft.js';
import type { UsageOracle } from '../adapters/usage-oracle.js';
import type { PolicySource } from '../domain/durable/messages.js';
import type { SbomFormat } from '../domain/evidence/sbom.js';
import type { RetentionLevel } from '../domain/lifecycle/retention.js';
import type { WaitSettings } from '../domain/lifecycle/stability-wait.js';
import type { Repository } from '../domain/reference.js';
import type { Roster } from '../domain/roster.js';
import type { TransformResources } from '../domain/transform/step.js';

/** What activities are made from; the worker puts it together. */
export interface Dependencies {
  readonly settings: ActivitySettings;
  readonly roster: Roster;
  readonly reader: RegistryReader;
  readonly regctl: Regctl;
  readonly syft: Syft;
  readonly buildctl: Buildctl;
  readonly layouts: OciLayouts;
  readonly layers: ImageLayers;
  readonly scratch: FolderCache;
  readonly resources: TransformResources;
  readonly cosign: Cosign;
  readonly memory: DigestMemory;
  readonly journal: Journal;
  /** Who writes to a repository at this moment, in words; null: nobody. */
  readonly whoIsAtWork: (policy: string, repository: Repository) => Promise<string | null>;
  /** Whose signatures count; null: nothing says. @throws HoubaError `ConfigInvalid` when the key cannot be read */
  readonly readTrust: (signal: AbortSignal) => Promise<Trust | null>;
  readonly deletions: DeletionNotes;
  /** How long a read that contradicts a write is asked again, ms. */
  readonly readBackMs: number;
  /** @throws HoubaError `ConfigInvalid` when no usage oracle is set */
  readonly openOracle: () => UsageOracle;
  readonly readPolicies: (path: string) => Promise<PolicySource[]>;
}

export interface ActivitySettings {
  readonly prefix: string;
  readonly sbomFormats: readonly SbomFormat[];
  readonly dryRunTags: boolean;
  readonly dryRunDeletions: boolean;
  readonly deletionMode: 'purge' | 'mark';
  /** 0 to 1. */
  readonly maxDeletionShare: number;
  /** The fleet's (`HOUBA_RETENTION`); null: there is none. */
  readonly retention: RetentionLevel | null;
  /** How long a marked tag must be unused before it goes; null: purge is not set up. */
  readonly purgeMinIdleMs: number | null;
  /** Whether somebody has to approve every deletion of purge. */
  readonly purgeRequireApproval: boolean;
  /** The fleet's (`HOUBA_STABILITY`). */
  readonly stability: WaitSettings & { readonly newTags: boolean };
  readonly maxConcurrency: number;
  /** Whether somebody can say what is in use. */
  readonly hasOracle: boolean;
  /** `''` when nothing is signed. */
  readonly signer: string;
  /** Names this installation in predicates; empty: the product's own name. */
  readonly builderId: string;
  /** What the address of a key in a key service may begin with that a policy names for upstream. */
  readonly verifyKms: readonly string[];
  /** Of rebuilds where the policy names none. */
  readonly buildPlatform: string;
  /** houba's own. */
  readonly version: string;
  readonly policyDir: string | null;
}

/** One line of the journal (section 10). */
export interface Journal {
  event(name: string, fields: Readonly<Record<string, unknown>>): void;
}

/** What everybody can know of deletions, whichever worker is at them. */
export interface DeletionNotes {
  /**
   * Deletes while it is known that something is being deleted in the repository. What is needed must be read in here: a
   * placement that published its tag before is seen, and one that does so later knows.
   */
  during<Result>(repository: Repository, work: () => Promise<Result>): Promise<Result>;
  /** Whether anything was being deleted in the repository at some time since then, ms since 1970, and still is. */
  since(repository: Repository, sinceMs: number): Promise<'none' | 'ended' | 'going on'>;
}
