import type { MirrorPolicy } from './schema.js';

/** A transform step as written: its name and its parameters. */
export interface TransformStep {
  readonly name: string;
  readonly params: Readonly<Record<string, unknown>>;
}

export interface TagSelection {
  readonly includeRegex: string | null;
  readonly excludeRegex: readonly string[];
  readonly semverOnly: boolean;
  readonly names: readonly string[];
  readonly aliases: readonly string[];
}

export interface Destination {
  /** Roster name; null where the roster has one entry. */
  readonly registry: string | null;
  readonly project: string;
  readonly repository: string;
}

export interface ResolvedVariant {
  readonly name: string;
  readonly suffix: string;
  readonly transform: readonly TransformStep[];
}

export interface ResolvedImport {
  readonly name: string;
  readonly tags: TagSelection;
  readonly destinations: readonly Destination[];
  readonly transform: readonly TransformStep[];
  readonly archive: { readonly keep: number | null; readonly olderThanDays: number | null } | null;
  readonly platforms: readonly string[] | null;
  readonly variants: readonly ResolvedVariant[];
  readonly owners: readonly string[];
  readonly vendor: string | null;
  /** Durations in milliseconds. */
  readonly stability: {
    readonly windowMs: number | null;
    readonly maxWaitMs: number | null;
    readonly newTags: boolean | null;
  } | null;
  readonly stamp: 'annotations' | 'referrer';
  readonly keepUpstreamEvidence: boolean;
  readonly verifyUpstream: { readonly key: string } | { readonly identity: string; readonly issuer: string } | null;
}

/** A policy with its defaults merged in (section 2.3): every field decided. */
export interface ResolvedPolicy {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly artifactType: 'image' | 'helmChart' | 'generic';
  readonly source: { readonly registry: string; readonly repository: string };
  readonly deletionMode: 'purge' | 'mark' | null;
  readonly imports: readonly ResolvedImport[];
}

export declare function resolvePolicy(policy: MirrorPolicy): ResolvedPolicy;
