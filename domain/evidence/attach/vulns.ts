import { formatInstant } from '../../instant.js';
import type { Finding, SarifReport, Scanner } from './sarif.js';

/** https://github.com/in-toto/attestation/blob/main/spec/predicates/vulns_02.md */
export const VULNS_PREDICATE_TYPE = 'https://in-toto.io/attestation/vulns/v0.2';

/** In bytes, so that gc reads the signed statement, which is larger by a half. */
const LARGEST_PREDICATE = 2 * 1024 * 1024;

interface VulnsPredicate {
  readonly scanner: { readonly uri: string; readonly version?: string; readonly result: readonly VulnsResult[] };
  readonly metadata: { readonly scanStartedOn: string; readonly scanFinishedOn: string };
}

interface VulnsResult {
  readonly id: string;
  readonly severity: readonly { readonly method: string; readonly score: string }[];
}

/**
 * Builds the in-toto vulnerability predicate of a report; a text says why it would say something false
 * (docs/rules/evidence.md#the-vulnerability-predicate-tells-all-or-is-not-made). @param attachedMs the time of a scan that
 * tells none, ms since 1970
 */
export function vulnsPredicate(report: SarifReport, attachedMs: number): VulnsPredicate | string {
  const { facts, findings, startedMs, finishedMs } = report;
  const [scanner, ...others] = report.scanners;
  if (scanner === undefined || scanner.name === null) return 'a run names no tool';
  if (others.length > 0) return 'the report is of several scanners';
  if (report.unnamed > 0) return `${report.unnamed} findings have no id`;
  if (report.skipped > 0) return `${report.skipped} entries are no results`;
  const isVerdict = Object.entries(facts).some(([name, count]) => name.startsWith('policy.') && count !== '0');
  if (isVerdict && findings.length === 0) return 'it holds verdicts on policies, and no vulnerability';
  const [started, finished] = [startedMs ?? finishedMs ?? attachedMs, finishedMs ?? startedMs ?? attachedMs];
  const predicate: VulnsPredicate = {
    scanner: {
      uri: uriOf(scanner),
      ...(scanner.version === null ? {} : { version: scanner.version }),
      result: findings.map(resultOf),
    },
    metadata: { scanStartedOn: formatInstant(started), scanFinishedOn: formatInstant(finished) },
  };
  const size = new TextEncoder().encode(JSON.stringify(predicate)).length;
  return size > LARGEST_PREDICATE ? `${findings.length} different findings are too many for it` : predicate;
}

function uriOf({ name, version, informationUri }: Scanner): string {
  const at = version === null ? '' : `@${encodeURIComponent(version)}`;
  return informationUri ?? `pkg:generic/${encodeURIComponent(name ?? '')}${at}`;
}

/** The score as the report gives it, and the severity that houba counts it under. */
function resultOf({ id, severity, score }: Finding): VulnsResult {
  const counted = { method: 'houba', score: severity };
  return { id, severity: score === null ? [counted] : [{ method: 'cvss_score', score: String(score) }, counted] };
}
