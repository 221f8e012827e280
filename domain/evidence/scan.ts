import { z } from 'zod';
import { type Digest, isDigest } from '../digest.js';
import { formatDuration } from '../duration.js';
import { parseInstant } from '../instant.js';
import { prefixedKeys, SCAN_ARTIFACT_TYPE } from '../stamp/keys.js';
import { asObject, jsonOrNull } from '../text/json.js';
import { optional } from '../text/optional.js';
import { builderIdOf } from './predicates.js';

export const SCAN_PREDICATE_TYPE = 'https://houba.dev/predicate/scan/v1';

/** The body of a scan statement; a field that is missing or malformed is null. */
export interface ScanPredicate {
  /** `scan` where the statement names none. */
  readonly scanner: string | null;
  /** Digest of the raw report. */
  readonly report: Digest | null;
  /** ISO 8601, not checked. */
  readonly attestedAt: string | null;
  /** Counts in decimal by `vuln.<severity>`. */
  readonly summary: Readonly<Record<string, string>> | null;
}

const Scanner = optional(z.object({ name: z.string() }));
const Summary = z.record(z.string(), z.string());

/** Parses the body of a scan statement; never throws. */
export function readScanPredicate(predicate: unknown): ScanPredicate {
  const { scanner, report_digest: report, attested_at: attestedAt, summary } = asObject(predicate);
  const named = Scanner.safeParse(scanner);
  return {
    scanner: named.success ? (named.data?.name ?? 'scan') : null,
    report: typeof report === 'string' && isDigest(report) ? report : null,
    attestedAt: typeof attestedAt === 'string' ? attestedAt : null,
    summary: Summary.safeParse(summary).data ?? null,
  };
}

/** A scan as a statement of the documented shape tells it. */
export interface DatedScan {
  readonly scanner: string;
  readonly summary: Readonly<Record<string, string>>;
  /** When its report was attached, ms since 1970. */
  readonly at: number;
}

/** Reads the body of a scan statement; a text says what is wrong with it. */
export function readDatedScan(predicate: unknown): DatedScan | string {
  const { scanner, attestedAt, summary } = readScanPredicate(predicate);
  if (scanner === null || attestedAt === null || summary === null) return 'is not of the documented shape';
  const at = parseInstant(attestedAt);
  return at === null ? `gives no time: ${JSON.stringify(attestedAt)}` : { scanner, summary, at };
}

/**
 * Judges the age of a scan (docs/rules/evidence.md#the-freshest-scan-decides). @param at ms since 1970
 * @returns what is wrong with it; null: it is fresh
 */
export function staleness(at: number, maxAgeMs: number | null, now: number): string | null {
  if (maxAgeMs === null || now - at <= maxAgeMs) return null;
  const minutes = Math.floor((now - at) / 60_000);
  return `${formatDuration(minutes * 60_000)} old, older than ${formatDuration(maxAgeMs)}`;
}

interface Referrer {
  readonly digest: Digest;
  readonly artifactType: string;
  readonly annotations: Readonly<Record<string, string>>;
}

/**
 * Finds the newest raw report among referrers, by what they say of themselves; nobody has signed that.
 * @returns `at`: ms since 1970, null where none gives a time; null: there is no report
 */
export function newestReport(referrers: readonly Referrer[], prefix: string): { readonly at: number | null } | null {
  const times = [...reportTimes(referrers, prefix).values()];
  if (times.length === 0) return null;
  return { at: times.reduce((newest, at) => (newest === null || (at !== null && at > newest) ? at : newest), null) };
}

/** Sorts referrers by the time of the raw report that each says to be about; those about none keep their order, last. */
export function newestReportFirst<One extends Referrer>(referrers: readonly One[], prefix: string): One[] {
  const link = prefixedKeys(prefix)?.scanReport;
  const times: ReadonlyMap<string, number | null> = reportTimes(referrers, prefix);
  const ageOf = ({ annotations }: One) =>
    (link === undefined ? null : times.get(annotations[link] ?? '')) ?? Number.NEGATIVE_INFINITY;
  // Not by difference: that of two infinities is no number.
  return [...referrers].sort((a, b) => Number(ageOf(a) < ageOf(b)) - Number(ageOf(a) > ageOf(b)));
}

/** Times of the raw reports, by digest; null: it gives none. */
function reportTimes(referrers: readonly Referrer[], prefix: string): Map<Digest, number | null> {
  const key = prefixedKeys(prefix)?.scanTimestamp;
  const times = new Map<Digest, number | null>();
  for (const { digest, artifactType, annotations } of referrers) {
    if (artifactType !== SCAN_ARTIFACT_TYPE) continue;
    const told = key !== undefined && Object.hasOwn(annotations, key) ? annotations[key] : undefined;
    times.set(digest, told === undefined ? null : parseInstant(told));
  }
  return times;
}

/** Parses the scan statement in a Sigstore bundle, without checking its signature. */
export function readScanBundle(bundle: Uint8Array): ScanPredicate {
  const { payload } = asObject(asObject(jsonOrNull(bundle)).dsseEnvelope);
  const statement = typeof payload === 'string' ? asObject(jsonOrNull(Buffer.from(payload, 'base64'))) : {};
  return readScanPredicate(statement.predicate);
}

/** The body of `scan/v1`, which is frozen (docs/rules/evidence.md#a-frozen-predicate-stays). */
export const ScanPredicateShape = z
  .strictObject({
    scanner: z
      .strictObject({
        name: z.string().describe('As the report names it; unknown where it does not'),
        version: z.string().describe('Empty where the report tells none'),
      })
      .describe('Who scanned'),
    format: z.string().describe('Format of the report, such as sarif'),
    summary: z.record(z.string(), z.string()).describe('Facts by name: counts in decimal, and ruleset.hash'),
    report_digest: z.string().describe('The artifact with the raw report, attached to the same subject'),
    attested_at: z.iso.datetime({ offset: true }).describe('When the report was attached'),
    builder_id: z.string().describe('The installation of houba that attached it'),
  })
  .describe('What a scanner found in an image');

/** Builds the body of a scan statement. @param attestedAt ISO 8601 */
export function scanPredicate(
  scan: { readonly tool: string; readonly toolVersion: string | null; readonly format: string },
  facts: Readonly<Record<string, string>>,
  {
    report,
    attestedAt,
    builderId,
  }: { readonly report: Digest; readonly attestedAt: string; readonly builderId: string },
): z.infer<typeof ScanPredicateShape> {
  return {
    scanner: { name: scan.tool, version: scan.toolVersion ?? '' },
    format: scan.format,
    summary: { ...facts },
    report_digest: report,
    attested_at: attestedAt,
    builder_id: builderIdOf(builderId),
  };
}

export function scanJsonSchema(): Record<string, unknown> {
  const { $schema, description, ...body } = z.toJSONSchema(ScanPredicateShape, { target: 'draft-2020-12' });
  return { $schema, $id: SCAN_PREDICATE_TYPE, title: 'houba scan predicate', description, ...body };
}
