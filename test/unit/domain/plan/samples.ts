import type { Digest } from '../../../../domain/digest.js';
import type { PlacedMark } from '../../../../domain/lifecycle/mark.js';
import type { Target, TargetVariant } from '../../../../domain/plan/plan.js';
import type { SeenRepository, SeenTag } from '../../../../domain/plan/survey.js';
import type { ResolvedImport, ResolvedPolicy } from '../../../../domain/policy/resolve.js';
import type { RecordedStamp } from '../../../../domain/stamp/annotations.js';

export const A = `sha256:${'a'.repeat(64)}` as Digest;
export const B = `sha256:${'b'.repeat(64)}` as Digest;
export const PLACED = `sha256:${'1'.repeat(64)}` as Digest;
export const OTHER = `sha256:${'2'.repeat(64)}` as Digest;

export function recordedStamp(facts: Partial<RecordedStamp> = {}): RecordedStamp {
  return {
    baseDigest: A,
    baseName: 'docker.io/library/redis:7.2.0',
    created: '2026-06-01T00:00:00.000+00:00',
    revision: null,
    vendor: null,
    policy: 'redis',
    import: 'v7',
    variant: 'default',
    owners: null,
    transformSteps: null,
    transformVersion: null,
    platforms: null,
    supersedes: null,
    upstreamVerified: null,
    stampTo: 'annotations',
    ...facts,
  };
}

export function resolvedImport(facts: Partial<ResolvedImport> = {}): ResolvedImport {
  return {
    name: 'v7',
    tags: { includeRegex: null, excludeRegex: [], semverOnly: true, names: [], aliases: [] },
    destinations: [{ registry: 'main', project: 'lib', repository: 'redis' }],
    transform: [],
    archive: null,
    platforms: null,
    variants: [{ name: 'default', suffix: '', transform: [] }],
    owners: [],
    vendor: null,
    stability: null,
    stamp: 'annotations',
    keepUpstreamEvidence: false,
    verifyUpstream: null,
    ...facts,
  };
}

export function resolvedPolicy(facts: Partial<ResolvedPolicy> = {}): ResolvedPolicy {
  return {
    name: 'redis',
    labels: {},
    artifactType: 'image',
    source: { registry: 'docker.io', repository: 'library/redis' },
    deletionMode: null,
    imports: [resolvedImport()],
    ...facts,
  };
}

export const REPOSITORY = { host: 'registry.example', path: 'lib/redis' };

export function variantWish(
  name: string,
  suffix: string,
  selected: readonly string[],
  aliases: Readonly<Record<string, string>> = {},
): TargetVariant {
  return { variant: { name, suffix, transform: [] }, selected, aliases: new Map(Object.entries(aliases)) };
}

export function target(variants: readonly TargetVariant[], facts: Partial<Target> = {}): Target {
  return {
    repository: REPOSITORY,
    registry: 'main',
    import: resolvedImport(),
    deletionMode: 'mark',
    variants,
    ...facts,
  };
}

export function seenRepository(
  tags: Readonly<Record<string, Partial<SeenTag>>>,
  placed: readonly PlacedMark[] = [],
): Map<string, SeenRepository> {
  const entries = Object.entries(tags).map(([tag, facts]): [string, SeenTag] => [
    tag,
    { digest: PLACED, stamp: recordedStamp(), sbomComplete: true, attested: true, ...facts },
  ]);
  const marks = new Map<Digest, PlacedMark[]>();
  for (const mark of placed) marks.set(mark.subject, [...(marks.get(mark.subject) ?? []), mark]);
  return new Map([['registry.example/lib/redis', { repository: REPOSITORY, tags: new Map(entries), marks }]]);
}
