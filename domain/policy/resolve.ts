import { parseDuration } from '../duration.js';
import type { TagSelection } from '../selection/select.js';
import type { TransformStep } from '../transform/step.js';
import type { MirrorPolicy } from './schema.js';

export interface Destination {
  /** A roster name; null: the only one. */
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
  readonly stability: {
    readonly windowMs: number | null;
    readonly maxWaitMs: number | null;
    readonly newTags: boolean | null;
  } | null;
  readonly stamp: 'annotations' | 'referrer';
  readonly keepUpstreamEvidence: boolean;
  readonly verifyUpstream: { readonly key: string } | { readonly identity: string; readonly issuer: string } | null;
}

export interface ResolvedPolicy {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly artifactType: 'image' | 'helmChart' | 'generic';
  readonly source: { readonly registry: string; readonly repository: string };
  readonly deletionMode: 'purge' | 'mark' | null;
  readonly imports: readonly ResolvedImport[];
}

/** Merges the defaults into every import (docs/rules/policy.md#presence-decides-the-merge). */
export function resolvePolicy(policy: MirrorPolicy): ResolvedPolicy {
  const { artifactType, source, deletionMode, defaults, imports } = policy.spec;
  return {
    name: policy.metadata.name,
    labels: policy.metadata.labels ?? {},
    artifactType,
    source,
    deletionMode: deletionMode ?? null,
    imports: imports.map((written) => resolveImport(written, defaults ?? {}, artifactType)),
  };
}

function resolveImport(
  written: WrittenImport,
  defaults: WrittenDefaults,
  artifactType: ResolvedPolicy['artifactType'],
): ResolvedImport {
  const transform = toSteps(written.transform ?? defaults.transform ?? []);
  return {
    name: written.name,
    tags: resolveTags({ ...defaults.tags, ...written.tags }, artifactType),
    destinations: (written.destinations ?? defaults.destinations ?? []).map((destination) => ({
      registry: destination.registry ?? null,
      project: destination.project,
      repository: destination.repository,
    })),
    transform,
    archive: resolveArchive(defaults.archive, written.archive),
    platforms: emptyToNull(written.platforms ?? defaults.platforms),
    variants: (written.variants ?? [{ name: 'default' }]).map((variant) => ({
      name: variant.name,
      suffix: variant.suffix ?? '',
      transform: variant.transform == null ? transform : toSteps(variant.transform),
    })),
    owners: written.owners ?? defaults.owners ?? [],
    vendor: (written.vendor ?? defaults.vendor) || null,
    stability: resolveStability(defaults.stability, written.stability),
    stamp: written.stamp ?? defaults.stamp ?? 'annotations',
    keepUpstreamEvidence: written.keepUpstreamEvidence ?? defaults.keepUpstreamEvidence ?? false,
    verifyUpstream: written.verifyUpstream ?? defaults.verifyUpstream ?? null,
  };
}

type WrittenImport = MirrorPolicy['spec']['imports'][number];
type WrittenDefaults = NonNullable<MirrorPolicy['spec']['defaults']>;

/** What is not written stays out, so that a policy without orders resolves to what it always did. */
function resolveTags(tags: WrittenImport['tags'], artifactType: ResolvedPolicy['artifactType']): TagSelection {
  const written = tags.order ?? 'semver';
  const order = written === 'semver' && artifactType === 'helmChart' ? 'helm' : written;
  return {
    includeRegex: tags.includeRegex ?? null,
    excludeRegex: tags.excludeRegex ?? [],
    semverOnly: tags.semverOnly ?? true,
    names: tags.names ?? [],
    aliases: tags.aliases ?? [],
    ...(order !== 'semver' && { order }),
    ...(tags.finalsOnly === true && { finalsOnly: true }),
    ...(tags.semverRange != null && { semverRange: tags.semverRange }),
    ...(tags.newest != null && { newest: tags.newest }),
  };
}

/** Merges retention; null leaves it to the configuration. */
function resolveArchive(
  defaults: WrittenImport['archive'],
  written: WrittenImport['archive'],
): ResolvedImport['archive'] {
  if (defaults == null && written == null) return null;
  const merged = { ...defaults, ...written };
  return { keep: merged.keep ?? null, olderThanDays: merged.olderThanDays ?? null };
}

function resolveStability(
  defaults: WrittenImport['stability'],
  written: WrittenImport['stability'],
): ResolvedImport['stability'] {
  if (defaults == null && written == null) return null;
  const merged = { ...defaults, ...written };
  return { windowMs: toMs(merged.window), maxWaitMs: toMs(merged.maxWait), newTags: merged.newTags ?? null };
}

/** YAML reads a bare `0` as a number. */
function toMs(duration: string | 0 | null | undefined): number | null {
  return duration == null ? null : parseDuration(String(duration));
}

/** Reads an empty list as null, so that `platforms: []` overrides a default with the whole index. */
function emptyToNull<Item>(list: readonly Item[] | null | undefined): readonly Item[] | null {
  return list == null || list.length === 0 ? null : list;
}

function toSteps(transform: NonNullable<WrittenImport['transform']>): TransformStep[] {
  return transform.flatMap((step) => Object.entries(step).map(([name, params]) => ({ name, params: params ?? {} })));
}
