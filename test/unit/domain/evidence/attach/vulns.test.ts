import { describe, expect, it } from 'vitest';
import { vulnsPredicate } from '../../../../../domain/evidence/attach/vulns.js';
import { parse, sarif } from './samples.js';

const ATTACHED = Date.parse('2026-03-09T12:00:00Z');
const predicate = (report: unknown) => vulnsPredicate(parse(report), ATTACHED);
const score = (given: string) => ({ properties: { 'security-severity': given } });

describe('the vulnerability predicate', () => {
  it('has each vulnerability once, with its score and the severity that it counts under', () => {
    const rules = [{ id: 'CVE-1', ...score('5.3') }, { id: 'CVE-2' }];
    const results = [{ ruleId: 'CVE-1' }, { ruleId: 'CVE-1' }, { ruleId: 'CVE-2', level: 'error' }];
    const driver = { name: 'grype', version: '0.90.0', informationUri: 'https://github.com/anchore/grype', rules };
    const invocations = [
      { executionSuccessful: true, startTimeUtc: '2026-03-09T10:00:00Z', endTimeUtc: '2026-03-09T10:00:05.5Z' },
      { executionSuccessful: true, startTimeUtc: '2026-03-09T09:00:00Z', endTimeUtc: 'soon' },
    ];
    expect(predicate(sarif(results, { driver, invocations }))).toEqual({
      scanner: {
        uri: 'https://github.com/anchore/grype',
        version: '0.90.0',
        result: [
          {
            id: 'CVE-1',
            severity: [
              { method: 'cvss_score', score: '5.3' },
              { method: 'houba', score: 'medium' },
            ],
          },
          { id: 'CVE-2', severity: [{ method: 'houba', score: 'high' }] },
        ],
      },
      metadata: { scanStartedOn: '2026-03-09T09:00:00+00:00', scanFinishedOn: '2026-03-09T10:00:05.500+00:00' },
    });
  });

  it.each([
    [
      [
        { ruleId: 'A', level: 'note' },
        { ruleId: 'A', level: 'error' },
      ],
      [{ method: 'houba', score: 'high' }],
    ],
    [
      [
        { ruleId: 'A', ...score('7.1') },
        { ruleId: 'A', ...score('8.9') },
        { ruleId: 'A', ...score('7.2') },
      ],
      [
        { method: 'cvss_score', score: '8.9' },
        { method: 'houba', score: 'high' },
      ],
    ],
    [
      [{ ruleId: 'A', ...score('9.1') }, { ruleId: 'A' }],
      [
        { method: 'cvss_score', score: '9.1' },
        { method: 'houba', score: 'critical' },
      ],
    ],
  ])('has the worst that was said of one: %j', (results, severity) => {
    expect(predicate(sarif(results))).toMatchObject({ scanner: { result: [{ id: 'A', severity }] } });
  });

  it('leaves out what does not count', () => {
    const results = [
      { ruleId: 'A', level: 'error', suppressions: [{ kind: 'external' }] },
      { ruleId: 'B', level: 'error', baselineState: 'absent' },
      { ruleId: 'C', level: 'error', kind: 'fail' },
      { ruleId: 'D', level: 'error' },
    ];
    expect(predicate(sarif(results))).toMatchObject({ scanner: { result: [{ id: 'D' }] } });
  });

  it('is empty for a scan that found nothing, and names a scanner without an address by a package URL', () => {
    expect(predicate(sarif([], { driver: { name: 'my scanner', version: '1.0' } }))).toEqual({
      scanner: { uri: 'pkg:generic/my%20scanner@1.0', version: '1.0', result: [] },
      metadata: { scanStartedOn: '2026-03-09T12:00:00+00:00', scanFinishedOn: '2026-03-09T12:00:00+00:00' },
    });
  });

  it.each([
    ['javascript:alert(1)', 'pkg:generic/scanner'],
    ['https://a b', 'pkg:generic/scanner'],
    [7, 'pkg:generic/scanner'],
    ['http://scanner.example', 'http://scanner.example'],
  ])('takes %j for the address %s', (informationUri, uri) => {
    expect(predicate(sarif([], { driver: { informationUri } }))).toMatchObject({ scanner: { uri } });
  });

  it.each([
    [{ startTimeUtc: '2026-03-09T10:00:00Z' }, '2026-03-09T10:00:00+00:00', '2026-03-09T10:00:00+00:00'],
    [{ endTimeUtc: '2026-03-09T11:00:00Z' }, '2026-03-09T11:00:00+00:00', '2026-03-09T11:00:00+00:00'],
  ])('with %j began and ended then', (times, scanStartedOn, scanFinishedOn) => {
    const report = sarif([], { invocations: [{ executionSuccessful: true, ...times }] });
    expect(predicate(report)).toMatchObject({ metadata: { scanStartedOn, scanFinishedOn } });
  });

  it('is of one scanner in several runs', () => {
    const [run] = sarif([{ ruleId: 'A' }]).runs as unknown[];
    expect(predicate({ runs: [run, run] })).toMatchObject({ scanner: { result: [{ id: 'A' }] } });
  });

  it('takes the id of the rule where the result names none', () => {
    const driver = { rules: [{ id: 'CVE-1' }] };
    expect(predicate(sarif([{ ruleIndex: 0 }], { driver }))).toMatchObject({ scanner: { result: [{ id: 'CVE-1' }] } });
  });

  const many = Array.from({ length: 30_000 }, (_, at) => ({
    ruleId: `CVE-2026-${at}-a-package-with-a-name`,
    level: 'note',
  }));
  it.each<[string, unknown, RegExp]>([
    [
      'two scanners',
      {
        runs: [
          { tool: { driver: { name: 'a' } }, results: [] },
          { tool: { driver: { name: 'b' } }, results: [] },
        ],
      },
      /several scanners/,
    ],
    [
      'one in two versions',
      {
        runs: [
          { tool: { driver: { name: 'a' } }, results: [] },
          { tool: { driver: { name: 'a', version: '2' } }, results: [] },
        ],
      },
      /several scanners/,
    ],
    [
      'one that is named in one run only',
      { runs: [{ tool: { driver: { name: 'a' } }, results: [] }, { results: [] }] },
      /several scanners/,
    ],
    ['a scanner without a name', { runs: [{ results: [] }] }, /names no tool/],
    ['a finding without an id', sarif([{ level: 'error' }, { ruleId: 'A' }]), /1 findings have no id/],
    ['an entry that is no result', sarif([7, { ruleId: 'A' }]), /1 entries are no results/],
    ['nothing but verdicts', sarif([{ ruleId: 'A', kind: 'pass' }]), /verdicts on policies/],
    ['too many findings for a statement', sarif(many), /30000 different findings are too many/],
  ])('is not made of a report with %s', (_, report, why) => {
    expect(predicate(report)).toMatch(why);
  });
});
