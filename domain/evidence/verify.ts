import { z } from 'zod';
import type { Digest } from '../digest.js';
import { type RecordedStamp, readStamp } from '../stamp/annotations.js';
import { prefixedKeys } from '../stamp/keys.js';
import { type StampReferrer, stampBeside } from '../stamp/stamp-of.js';
import { TRANSFORM_PREDICATE_TYPE } from './predicates.js';
import { BUILD_TYPE, PROVENANCE_PREDICATE_TYPE } from './provenance.js';
import { SBOM_MEDIA_TYPES, SBOM_PREDICATE_TYPES, type SbomFormat } from './sbom.js';
import { type DatedScan, readDatedScan, SCAN_PREDICATE_TYPE, staleness } from './scan.js';
import { breachOf, type Severity } from './severity.js';

/** Requirements on an image, in the order of the outcomes. */
export const REQUIREMENTS = ['stamp', 'scan-pass', 'sbom', 'signature', 'provenance'] as const;
export type Requirement = (typeof REQUIREMENTS)[number];

export interface RequirementOutcome {
  readonly requirement: Requirement;
  readonly passed: boolean;
  readonly detail: string;
}

export interface VerifyReport {
  readonly schema_version: 1;
  readonly ref: string;
  /** Resolved once (docs/rules/registry-access.md#one-resolution). */
  readonly digest: string;
  readonly passed: boolean;
  readonly requirements: readonly RequirementOutcome[];
}

export interface FoundEvidence {
  /** `unusable` says why it cannot be read. */
  readonly manifest: { readonly annotations: Annotations } | { readonly unusable: string };
  readonly referrers: readonly StampReferrer[];
  readonly attestations: readonly CheckedAttestation[];
}

type Annotations = Readonly<Record<string, string>>;

/** A signed statement after the check of its signature. */
export interface CheckedAttestation {
  readonly predicateType: string;
  readonly referrer: Digest;
  readonly annotations: Annotations;
  /** Why it does not verify; null: it does. */
  readonly reason: string | null;
  /** Only where it verifies and is needed. */
  readonly predicate?: unknown;
}

export interface Expectations {
  readonly prefix: string;
  readonly tag: string | null;
  readonly builderId: string;
  /** The worst severity that fails, with all above it; null: no finding fails. */
  readonly maxSeverity: Severity | null;
  readonly maxAgeMs: number | null;
  readonly now: number;
}

const SBOM_TYPES: readonly string[] = Object.values(SBOM_PREDICATE_TYPES);

export function attestationTypes(requirement: Requirement): readonly string[] {
  return {
    stamp: [],
    'scan-pass': [SCAN_PREDICATE_TYPE],
    sbom: [],
    signature: [TRANSFORM_PREDICATE_TYPE, ...SBOM_TYPES],
    provenance: [PROVENANCE_PREDICATE_TYPE],
  }[requirement];
}

/** Tells which predicates are read: SBOMs may be large, and only their signature matters. */
export function isPredicateRead(predicateType: string): boolean {
  return predicateType === SCAN_PREDICATE_TYPE || predicateType === PROVENANCE_PREDICATE_TYPE;
}

/** Judges each requirement; what cannot be judged fails (docs/rules/evidence.md#presence-is-not-verification). */
export function judgeEvidence(
  asked: readonly Requirement[],
  found: FoundEvidence,
  expected: Expectations,
): RequirementOutcome[] {
  const judges: Record<Requirement, (found: FoundEvidence, expected: Expectations) => Judgement> = {
    stamp: judgeStamp,
    'scan-pass': judgeScan,
    sbom: judgeSboms,
    signature: judgeSignature,
    provenance: judgeProvenance,
  };
  return REQUIREMENTS.filter((requirement) => asked.includes(requirement)).map((requirement) => ({
    requirement,
    ...judges[requirement](found, expected),
  }));
}

type Judgement = Pick<RequirementOutcome, 'passed' | 'detail'>;

const pass = (detail: string): Judgement => ({ passed: true, detail });
const fail = (detail: string): Judgement => ({ passed: false, detail });

/** Judges the stamp, the tag's own first; an alias shows another tag's (docs/rules/stamp.md#the-stamp-of-a-tag). */
function judgeStamp({ manifest, referrers }: FoundEvidence, { prefix, tag }: Expectations): Judgement {
  if (prefix === '') return fail('HOUBA_LABEL_PREFIX is empty, so a stamp cannot be told from upstream annotations');
  if ('unusable' in manifest) return fail(manifest.unusable);
  const stamp = readStamp(manifest.annotations, prefix);
  if (stamp !== null) return pass(stamped(stamp));
  const found = stampBeside(referrers, tag, prefix) ?? stampBeside(referrers, null, prefix);
  if (found === null) return fail(`no stamp of ${prefix} is on the manifest, and none beside it`);
  const whose = found.tag === tag ? '' : `, of the tag ${found.tag}`;
  return pass(`${stamped(found.stamp)} (beside the image${whose})`);
}

function stamped(stamp: RecordedStamp): string {
  return `policy ${stamp.policy}, import ${stamp.import ?? '-'}, variant ${stamp.variant ?? '-'}`;
}

function judgeSboms({ referrers }: FoundEvidence): Judgement {
  const formats = (Object.keys(SBOM_MEDIA_TYPES) as SbomFormat[]).filter((format) =>
    referrers.some(({ artifactType }) => artifactType === SBOM_MEDIA_TYPES[format]),
  );
  return formats.length === 0 ? fail('no SBOM is attached') : pass(formats.join(', '));
}

/** Judges the transform statement and every SBOM statement with our mark; upstream's own do not count. */
function judgeSignature({ attestations }: FoundEvidence, { prefix }: Expectations): Judgement {
  const transforms = ofType(attestations, TRANSFORM_PREDICATE_TYPE);
  if (!transforms.some(verifies)) return fail(missing('transform', transforms));
  const mark = prefixedKeys(prefix)?.sbomFormat;
  const sboms = attestations
    .filter(({ predicateType }) => SBOM_TYPES.includes(predicateType))
    .filter(({ annotations }) => mark === undefined || own(annotations, mark) !== null);
  const broken = sboms.filter((one) => !verifies(one));
  if (broken.length > 0) return fail(`${broken.length} of ${sboms.length} SBOM attestations: ${reasons(broken)}`);
  return pass(`the transform attestation verifies, and ${sboms.length} of ${sboms.length} SBOM attestations`);
}

const Provenance = z.object({
  buildDefinition: z.object({ buildType: z.string() }),
  runDetails: z.object({ builder: z.object({ id: z.string() }) }),
});

function judgeProvenance({ attestations }: FoundEvidence, { builderId }: Expectations): Judgement {
  const candidates = ofType(attestations, PROVENANCE_PREDICATE_TYPE);
  const verified = candidates.filter(verifies);
  if (verified.length === 0) return fail(missing('provenance', candidates));
  const problems = new Set<string>();
  for (const { predicate } of verified) {
    const { data } = Provenance.safeParse(predicate);
    const buildType = data?.buildDefinition.buildType;
    const builder = data?.runDetails.builder.id;
    if (data === undefined) problems.add('it is no SLSA v1 provenance');
    else if (buildType !== BUILD_TYPE) problems.add(`its buildType is ${JSON.stringify(buildType)}, not ${BUILD_TYPE}`);
    else if (builderId !== '' && builder !== builderId) {
      problems.add(`its builder is ${JSON.stringify(builder)}, not ${JSON.stringify(builderId)}`);
    } else return pass(`built by ${builder}`);
  }
  return fail([...problems].join('; '));
}

/** Judges the freshest verified scan, severity before age (docs/rules/evidence.md#the-freshest-scan-decides). */
function judgeScan({ attestations }: FoundEvidence, { maxSeverity, maxAgeMs, now }: Expectations): Judgement {
  const candidates = ofType(attestations, SCAN_PREDICATE_TYPE);
  const verified = candidates.filter(verifies);
  if (verified.length === 0) return fail(missing('scan', candidates));
  const read: DatedScan[] = [];
  for (const { predicate, referrer } of verified) {
    const scan = readDatedScan(predicate);
    if (typeof scan === 'string') return fail(`the scan attestation ${referrer} ${scan}`);
    read.push(scan);
  }
  const { scanner, summary, at } = read.reduce((freshest, one) => (one.at > freshest.at ? one : freshest));
  const told = `${scanner}, ${new Date(at).toISOString()}`;
  const breach = maxSeverity === null ? null : breachOf(summary, maxSeverity);
  if (breach !== null) return fail(`${told}: ${breach}`);
  const stale = staleness(at, maxAgeMs, now);
  return stale === null ? pass(told) : fail(`${told}: ${stale}`);
}

function ofType(attestations: readonly CheckedAttestation[], predicateType: string): CheckedAttestation[] {
  return attestations.filter((one) => one.predicateType === predicateType);
}

function verifies({ reason }: CheckedAttestation): boolean {
  return reason === null;
}

function missing(what: string, refused: readonly CheckedAttestation[]): string {
  return refused.length === 0
    ? `there is no ${what} attestation`
    : `no ${what} attestation verifies: ${reasons(refused)}`;
}

function reasons(refused: readonly CheckedAttestation[]): string {
  return refused.map(({ predicateType, referrer, reason }) => `${predicateType} (${referrer}): ${reason}`).join('; ');
}

function own(map: Annotations, key: string): string | null {
  return Object.hasOwn(map, key) ? (map[key] ?? null) : null;
}
