import { type Digest, isDigest } from '../digest.js';
import { asObject, jsonOrNull } from '../text/json.js';

export const SCAN_PREDICATE_TYPE = 'https://houba.dev/predicate/scan/v1';

/** What a signed scan says. */
export function readScanPredicate(bytes: Uint8Array): { report: Digest | null; attestedAt: string | null } {
  const bundle = asObject(jsonOrNull(bytes));
  const { payload } = asObject(bundle.dsseEnvelope);
  const statement = typeof payload === 'string' ? asObject(jsonOrNull(Buffer.from(payload, 'base64'))) : {};
  const { report_digest: report, attested_at: attestedAt } = asObject(statement.predicate);
  return {
    report: typeof report === 'string' && isDigest(report) ? report : null,
    attestedAt: typeof attestedAt === 'string' ? attestedAt : null,
  };
}
