import { z } from 'zod';
import { type Digest, isDigest } from '../digest.js';
import { asObject, jsonOrNull } from '../text/json.js';
import { optional } from '../text/optional.js';

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

/** Parses the scan statement in a Sigstore bundle, without checking its signature. */
export function readScanBundle(bundle: Uint8Array): ScanPredicate {
  const { payload } = asObject(asObject(jsonOrNull(bundle)).dsseEnvelope);
  const statement = typeof payload === 'string' ? asObject(jsonOrNull(Buffer.from(payload, 'base64'))) : {};
  return readScanPredicate(statement.predicate);
}
