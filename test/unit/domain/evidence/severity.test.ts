import { describe, expect, it } from 'vitest';
import { breachOf, SEVERITIES, type Severity } from '../../../../domain/evidence/severity.js';

const counts = (some: Partial<Record<Severity, string>>) =>
  Object.fromEntries(SEVERITIES.map((severity) => [`vuln.${severity}`, some[severity] ?? '0']));

describe('a limit', () => {
  it.each<[Partial<Record<Severity, string>>, Severity, string | null]>([
    [{ critical: '1' }, 'high', 'critical=1, at or above high'],
    [{ high: '2' }, 'high', 'high=2, at or above high'],
    [{ medium: '5' }, 'high', null],
    [{ critical: '1', high: '2', low: '3' }, 'low', 'critical=1 high=2 low=3, at or above low'],
    [{ unknown: '1' }, 'low', 'unknown=1, at or above low'],
    [{ unknown: '1' }, 'unknown', 'unknown=1, at or above unknown'],
    [{ low: '1' }, 'unknown', 'low=1, at or above unknown'],
    [{ unknown: '1' }, 'medium', null],
    [{ unknown: '1' }, 'critical', null],
    [{}, 'unknown', null],
    [{ high: 'none' }, 'high', 'it does not say how many are high'],
  ])('%j at %s: %j', (some, limit, breach) => {
    expect(breachOf(counts(some), limit)).toBe(breach);
  });

  it('is not passed by counts that are missing, nor breached by verdicts on policies', () => {
    expect(breachOf({}, 'critical')).toMatch(/does not say/);
    expect(breachOf({ ...counts({}), 'policy.critical': '7' }, 'unknown')).toBeNull();
  });
});
