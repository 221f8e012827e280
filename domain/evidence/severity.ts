/** Severities from the worst down; `unknown` is a finding that nobody has rated. */
export const SEVERITIES = ['critical', 'high', 'medium', 'low', 'unknown'] as const;
export type Severity = (typeof SEVERITIES)[number];

/**
 * Says which counts of a scan reach the limit, or are missing; null: none
 * (docs/rules/evidence.md#the-freshest-scan-decides). @param summary counts in decimal by `vuln.<severity>`
 */
export function breachOf(summary: Readonly<Record<string, string>>, limit: Severity): string | null {
  const buckets = limit === 'low' ? SEVERITIES : SEVERITIES.slice(0, SEVERITIES.indexOf(limit) + 1);
  const found: string[] = [];
  for (const bucket of buckets) {
    const key = `vuln.${bucket}`;
    const count = Object.hasOwn(summary, key) ? summary[key] : undefined;
    if (count === undefined || !/^\d{1,9}$/.test(count)) return `it does not say how many are ${bucket}`;
    if (Number(count) > 0) found.push(`${bucket}=${Number(count)}`);
  }
  return found.length === 0 ? null : `${found.join(' ')}, at or above ${limit}`;
}
