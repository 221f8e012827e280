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
import type { Repository } from '../domain/reference.js';
import type { Roster } from '../domain/roster.js';
import type { FleetSettings } from '../domain/settings/fleet-settings.js';
import type { TransformResources } from '../domain/transform/step.js';

/** What activities are made from; the worker puts it together. */
export interface Dependencies {
  readonly settings: FleetSettings;
  /** houba's own. */
  readonly version: string;
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
  /** Whether somebody can say what is in use. */
  readonly hasOracle: boolean;
  /** @throws HoubaError `ConfigInvalid` when no usage oracle is set */
  readonly openOracle: () => UsageOracle;
  readonly readPolicies: (path: string) => Promise<PolicySource[]>;
}

/** Writes one line of the journal. */
export interface Journal {
  event(name: string, fields: Readonly<Record<string, unknown>>): void;
}

/** What everybody can know of deletions, whichever worker is at them. */
export interface DeletionNotes {
  /**
   * Deletes while it is known that something is being deleted in the repository. What is needed must be read in here: a placement
   * that published its tag before is seen, and one that does so later knows.
   */
  during<Result>(repository: Repository, work: () => Promise<Result>): Promise<Result>;
  /** Whether anything was being deleted in the repository at some time since then, ms since 1970, and still is. */
  since(repository: Repository, sinceMs: number): Promise<'none' | 'ended' | 'going on'>;
}
