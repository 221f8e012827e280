import type { Findings, FleetImage, FleetPackage, FleetReport } from '../../domain/report/fleet/fleet-report.js';
import { digestFor } from './durable-samples.js';

const DAY = 86_400_000;
const GENERATED = Date.parse('2026-06-01T06:30:00Z');

const REGISTRIES = ['registry.example', 'harbor.example:8443', 'edge.example'];
const TEAMS = ['platform', 'payments', 'search', 'mobile', 'data', 'identity', 'logistics', 'machine-learning'];
const PRODUCTS = ['nginx', 'redis', 'postgres', 'keycloak', 'kafka', 'temurin', 'node', 'python', 'grafana', 'traefik'];
const BASES = [
  'debian:bookworm-slim',
  'debian:trixie',
  'ubuntu:24.04',
  'alpine:3.22',
  'eclipse-temurin:21-jre',
  'node:22',
];
const CLUSTERS = ['prod-eu', 'prod-us', 'staging'];
const LIBRARIES = [
  'libc6',
  'openssl',
  'libssl3',
  'xz-utils',
  'zlib1g',
  'curl',
  'bash',
  'tzdata',
  'libsystemd0',
  'perl-base',
];
const ECOSYSTEMS = [
  { ecosystem: 'deb', named: (n: number) => `lib${SYLLABLES[n % 20]}${SYLLABLES[Math.floor(n / 20) % 20]}${n % 9}` },
  {
    ecosystem: 'maven',
    named: (n: number) => `org.${SYLLABLES[n % 20]}.${SYLLABLES[(n * 7) % 20]}:${SYLLABLES[n % 13]}-core`,
  },
  {
    ecosystem: 'npm',
    named: (n: number) => `@${SYLLABLES[n % 20]}/${SYLLABLES[(n * 3) % 20]}-${SYLLABLES[(n * 11) % 20]}`,
  },
  { ecosystem: 'pypi', named: (n: number) => `${SYLLABLES[(n * 3) % 20]}-${SYLLABLES[n % 20]}` },
];
const SYLLABLES = [
  'avro',
  'bind',
  'cairo',
  'dav',
  'expat',
  'fuse',
  'gcc',
  'heim',
  'icu',
  'jpeg',
  'krb',
  'lz',
  'mount',
  'ncurses',
  'oauth',
  'pam',
  'quic',
  'ruby',
  'sasl',
  'tiff',
];

/**
 * A report as a registry of an organisation would have it, the same for the same numbers. Each image has `packagesEach`
 * packages out of a third more; each of those comes in eight versions.
 */
export function sampleFleet({ images: count = 60, packagesEach = 30 } = {}): FleetReport {
  const random = randomNumbers(count * 1000 + packagesEach);
  const pick = <T>(from: readonly T[]) => from[Math.floor(random() * from.length)] as T;
  const ago = (days: number) => new Date(GENERATED - Math.floor(days * DAY)).toISOString();
  const ahead = (days: number) => ago(-days);

  const bases = Array.from({ length: 18 }, (_, index) => ({
    name: `docker.io/library/${BASES[index % BASES.length]}`,
    digest: digestFor(`base ${index}`),
  }));
  const image = (index: number): FleetImage => {
    const team = pick(TEAMS);
    const registry = REGISTRIES[random() < 0.6 ? 0 : random() < 0.8 ? 1 : 2] as string;
    const repository = `${team}/${pick(PRODUCTS)}`;
    const tag = `${1 + Math.floor(random() * 4)}.${Math.floor(random() * 20)}.${index}${pick(['', '', '-eu', '-slim'])}`;
    const stamped = random() < 0.96;
    const sbom = stamped && random() < 0.97;
    const scanned = sbom && random() < 0.9;
    const base = stamped ? pick(bases) : null;
    return {
      ...{
        image_ref: `${registry}/${repository}:${tag}`,
        registry,
        repository,
        tag,
        digest: digestFor(`image ${index}`),
      },
      platforms: pick([['linux/amd64'], ['linux/amd64', 'linux/arm64/v8']]),
      owners: stamped ? [`group:default/${team}`, ...(random() < 0.2 ? ['group:default/security'] : [])] : [],
      policy: stamped ? repository.replace('/', '-') : null,
      ...{ base_digest: base?.digest ?? null, base_name: base?.name ?? null },
      placed_at: stamped ? ago(random() ** 2 * 500) : null,
      ...{ stamped, sbom, signed: registry === 'edge.example' ? null : stamped && random() < 0.9 },
      scanned_at: scanned ? ago(random() * 3) : null,
      findings: scanned ? findings(random) : null,
      held:
        random() < 0.03 ? { until: ahead(random() * 7), reason: 'the digest moved and has not stood still yet' } : null,
      pending_deletion: random() < 0.04 ? { since: ago(random() * 30), policy: repository.replace('/', '-') } : null,
      packages: sbom ? packagesEach : null,
      running_in: CLUSTERS.filter(() => random() < 0.25),
    };
  };
  const images = Array.from({ length: count }, (_, index) => image(index));
  const packages = samplePackages(images, packagesEach, random);
  const known = images.filter((one) => one.packages !== null);
  return {
    schema_version: 1,
    generated_at: new Date(GENERATED).toISOString(),
    registries: REGISTRIES,
    coverage: {
      digests: images.length,
      answered: known.length,
      not_covered: images
        .filter((one) => one.packages === null)
        .map(({ image_ref, digest, stamped }) => ({
          ...{ image_ref, digest, reason: stamped ? ('no-sbom' as const) : ('no-stamp' as const), error: null },
        })),
      not_covered_cut: 0,
    },
    images,
    packages,
  };
}

/** One image of which everything is as it should be. */
export function fleetImage(facts: Partial<FleetImage> = {}): FleetImage {
  const { registry = 'registry.example', repository = 'lib/redis', tag = '7.2' } = facts;
  return {
    ...{
      image_ref: `${registry}/${repository}:${tag}`,
      registry,
      repository,
      tag,
      digest: digestFor(`${repository} ${tag}`),
    },
    ...{ platforms: ['linux/amd64'], owners: ['group:default/caching'], policy: 'redis' },
    ...{ base_digest: digestFor('base'), base_name: 'docker.io/library/debian:bookworm' },
    ...{
      placed_at: '2026-05-20T06:30:00Z',
      stamped: true,
      sbom: true,
      signed: true,
      scanned_at: '2026-06-01T00:30:00Z',
    },
    findings: { critical: 0, high: 0, medium: 0, low: 0, unknown: 0 },
    ...{ held: null, pending_deletion: null, packages: 2, running_in: [], ...facts },
  };
}

export function fleetReport(images: readonly FleetImage[], packages: readonly FleetPackage[] = []): FleetReport {
  return {
    schema_version: 1,
    generated_at: '2026-06-01T06:30:00Z',
    registries: ['registry.example'],
    coverage: { digests: images.length, answered: images.length, not_covered: [], not_covered_cut: 0 },
    ...{ images, packages },
  };
}

/** A report in which every text that others write tries to become markup. */
export function hostileFleet(): FleetReport {
  const images = ATTACKS.map((attack, index) =>
    fleetImage({
      ...{
        image_ref: `${attack}/${attack}:${attack}`,
        registry: attack,
        repository: attack,
        tag: attack,
        digest: attack,
      },
      ...{ platforms: [attack], owners: [attack], policy: attack, base_digest: attack, base_name: attack },
      held: { until: null, reason: attack },
      pending_deletion: { since: '2026-05-01T00:00:00Z', policy: attack },
      ...{ running_in: [attack], scanned_at: index === 0 ? null : attack, placed_at: attack },
    }),
  );
  const report = fleetReport(
    images,
    ATTACKS.map((attack) => ({
      ...{ name: attack, ecosystem: attack },
      versions: [{ version: attack, images: images.map((_, index) => index) }],
    })),
  );
  const error = (message: string) => ({ type: message, message, exit_code: 2 });
  const not_covered = ATTACKS.map((attack) => ({
    ...{ image_ref: attack, digest: attack, reason: 'unreadable' as const, error: error(attack) },
  }));
  return { ...report, registries: [...ATTACKS], coverage: { ...report.coverage, not_covered } };
}

export const ATTACKS = [
  '</script><img src=x onerror=alert(1)>',
  '<!--<script>alert(1)</script>',
  '"><svg onload=alert(1)>',
  "' autofocus onfocus='alert(1)",
  'javascript:alert(1)',
  '</style></title></textarea><iframe src=//evil.example>',
  '\u2028\u2029alert(1)//\u202egnp.exe',
  '&lt;b&gt;&quot; {{alert(1)}} `alert(1)`',
  '__proto__',
  '\u0000\u001b[31m\ud800',
] as const;

function findings(random: () => number): Findings {
  if (random() < 0.3) return { critical: 0, high: 0, medium: 0, low: 0, unknown: 0 };
  const upTo = (most: number) => Math.floor(random() ** 3 * most);
  return { critical: upTo(4), high: upTo(12), medium: upTo(60), low: upTo(140), unknown: upTo(5) };
}

function samplePackages(images: readonly FleetImage[], each: number, random: () => number): FleetPackage[] {
  const pool = Array.from({ length: Math.ceil((each * 4) / 3) }, (_, index) => {
    const library = LIBRARIES[index];
    if (library !== undefined) return { name: library, ecosystem: 'deb' };
    const { ecosystem, named } = ECOSYSTEMS[index % ECOSYSTEMS.length] as (typeof ECOSYSTEMS)[number];
    return { name: `${named(index)}${index}`, ecosystem };
  });
  const versions = pool.map(({ name }, index) =>
    Array.from({ length: 8 }, (_, version) => ({
      version:
        name === 'xz-utils' ? `5.${version}.1-1` : `${1 + (index % 5)}.${version}.${(index * 7) % 30}-${1 + version}`,
      images: [] as number[],
    })),
  );
  images.forEach((image, index) => {
    if (image.packages === null) return;
    const left = pool.map((_, at) => at);
    for (let taken = 0; taken < each; taken++) {
      const [at = 0] = left.splice(Math.floor(random() * left.length), 1);
      versions[at]?.[Math.floor(random() * 8)]?.images.push(index);
    }
  });
  return pool.map((one, at) => ({ ...one, versions: (versions[at] ?? []).filter(({ images }) => images.length > 0) }));
}

/** Numbers from 0 to 1 that look random and are the same for the same seed (a linear congruence). */
function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
