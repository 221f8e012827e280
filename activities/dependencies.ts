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
import type { Digest } from '../domain/digest.js';
import type { PolicySource } from '../domain/durable/messages.js';
import type { Repository } from '../domain/reference.js';
import type { Roster } from '../domain/roster.js';
import type { FleetSettings } from '../domain/settings/fleet-settings.js';
import type { TransformResources } from '../domain/transform/step.js';

/** What the worker gives to the activities. */
export interface Dependencies {
  readonly settings: FleetSettings;
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
  /** Names who writes to a repository at this moment; null: nobody. */
  readonly whoIsAtWork: (policy: string, repository: Repository) => Promise<string | null>;
  /** What placements brought that ended since a time (ms since 1970), one for each tag. */
  readonly placedSince: (repository: Repository, sinceMs: number) => Promise<PlacedTag[]>;
  /** When this worker saw that a tag is gone, ms since 1970, by its name; kept for as long as a read may lag. */
  readonly goneTags: Map<string, number>;
  /** The trusted signer; null: none is set. @throws HoubaError `ConfigInvalid` when the key cannot be read */
  readonly readTrust: (signal: AbortSignal) => Promise<Trust | null>;
  readonly deletions: DeletionNotes;
  /** How long a read that contradicts a write is repeated, ms (docs/rules/registry-access.md#a-write-is-read-back). */
  readonly readBackMs: number;
  readonly hasOracle: boolean;
  /** @throws HoubaError `ConfigInvalid` when no usage oracle is set */
  readonly openOracle: () => UsageOracle;
  readonly readPolicies: (path: string) => Promise<PolicySource[]>;
}

/** A tag as its last placement left it. */
export interface PlacedTag {
  readonly tag: string;
  readonly policy: string;
  readonly baseDigest: Digest;
  /** ms since 1970 */
  readonly endedAtMs: number;
}

export interface Journal {
  event(name: string, fields: Readonly<Record<string, unknown>>): void;
}

/** Announcements of deletions, seen by all workers. */
export interface DeletionNotes {
  /** Announces a deletion while `work` runs. Read in there what is needed: later placements see the announcement. */
  during<Result>(repository: Repository, work: () => Promise<Result>): Promise<Result>;
  /** Whether anything was being deleted in the repository since a time (ms since 1970), and still is. */
  since(repository: Repository, sinceMs: number): Promise<'none' | 'ended' | 'going on'>;
}
