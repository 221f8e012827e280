import { digestOf } from '../../domain/digest.js';
import type { FleetInput, PolicySource } from '../../domain/durable/messages.js';
import type { PolicyInput, RunOptions } from '../../domain/plan/request.js';
import {
  type AliasPlacement,
  type Backfill,
  type Placement,
  type PlanPage,
  placementFacts,
} from '../../domain/plan/work.js';
import type { MirrorPolicy } from '../../domain/policy/schema.js';

export const NOW = '2026-06-01T00:00:00.000+00:00';

export const OPTIONS: RunOptions = { dryRun: false, concurrency: null, recheck: false, allowMassDeletion: false };

export const DESTINATION = { registry: 'main', host: 'registry.example', path: 'lib/redis' };

/** A digest that looks as random as a real one, the same for the same text. */
export function digestFor(text: string) {
  return digestOf(new TextEncoder().encode(text));
}

export function policyNamed(name: string): MirrorPolicy {
  return {
    apiVersion: 'houba.io/v1alpha1',
    kind: 'MirrorPolicy',
    metadata: { name },
    spec: {
      artifactType: 'image',
      source: { registry: 'upstream.example', repository: `library/${name}` },
      imports: [{ name: 'all', tags: {}, destinations: [{ registry: 'main', project: 'lib', repository: name }] }],
    },
  };
}

export function sourceNamed(name: string): PolicySource {
  return { file: `${name}.yaml`, policy: policyNamed(name) };
}

export function policyInput(name: string, options: Partial<RunOptions> = {}): PolicyInput {
  return { policy: policyNamed(name), source: `${name}.yaml`, options: { ...OPTIONS, ...options }, now: NOW };
}

export function fleetInput(names: readonly string[], facts: Partial<FleetInput> = {}): FleetInput {
  return { policies: names.map(sourceNamed), shard: { index: 0, count: 1 }, only: null, options: OPTIONS, ...facts };
}

/** The first import of a tag; `path` sets its workflow id apart from other tests'. */
export function placementOf(path: string, tag: string, facts: Partial<Placement> = {}): Placement {
  return {
    kind: 'imported',
    position: { target: 0, variant: 0 },
    source: { host: 'upstream.example', path: 'library/redis' },
    sourceTag: tag,
    baseDigest: digestFor(`source ${tag}`),
    destination: { ...DESTINATION, path },
    tag,
    current: null,
    aliases: [],
    platforms: null,
    transform: null,
    stampTo: 'annotations',
    keepUpstreamEvidence: false,
    verifyUpstream: null,
    upstreamVerified: null,
    sign: false,
    label: {
      created: NOW,
      artifactType: 'image',
      policy: 'redis',
      import: 'all',
      variant: 'default',
      owners: ['group:default/caching'],
      vendor: null,
    },
    ...facts,
  };
}

/** A rebuild of one platform. */
export const REBUILD = {
  platforms: ['linux/amd64'],
  transform: {
    steps: [{ name: 'setTimezone', params: { zone: 'Europe/Rome' } }],
    version: digestFor('transform'),
    resources: [],
  },
} satisfies Partial<Placement>;

export function backfillOf(path: string, tag: string, facts: Partial<Backfill> = {}): Backfill {
  return {
    position: { target: 0, variant: 0 },
    destination: { ...DESTINATION, path },
    tag,
    sourceTag: tag,
    sourceDigest: digestFor(`source ${tag}`),
    subject: digestFor(`placed ${tag}`),
    created: NOW,
    artifactType: 'image',
    needs: ['sbom'],
    facts: placementFacts(placementOf(path, tag)),
    ...facts,
  };
}

export function aliasOf(path: string, alias: string, outTag: string): AliasPlacement {
  return {
    position: { target: 0, variant: 0 },
    destination: { ...DESTINATION, path },
    alias,
    outTag,
    digest: digestFor(`placed ${outTag}`),
    current: null,
  };
}

/** A page with nothing to do at one target with one variant; `pending` is what the page holds unless said otherwise. */
export function planPage(facts: Partial<PlanPage> = {}): PlanPage {
  const { placements = [], backfills = [], aliases = [] } = facts;
  return {
    targets: [{ dest_repo: 'registry.example/lib/redis', variants: [{ name: 'default', suffix: '' }] }],
    settled: [],
    counted: [],
    placements,
    backfills,
    aliases,
    pending: placements.length + backfills.length + aliases.length,
    cut: 0,
    error: null,
    concurrency: 4,
    ...facts,
  };
}
