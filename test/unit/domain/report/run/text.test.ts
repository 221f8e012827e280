import { describe, expect, it } from 'vitest';
import { noCounts } from '../../../../../domain/report/run/run-report.js';
import { renderReport } from '../../../../../domain/report/run/text.js';
import { DIGEST, operation, policyNode, runReport } from './report-samples.js';

const unreachable = { type: 'RegistryUnavailable', message: 'docker.io answered 503', exit_code: 2 };
const failed = policyNode('boom', [], { status: 'failed', error: unreachable, targets: [], totals: noCounts() });
const mixed = policyNode('mixed', [operation(), operation({ out_tag: '7.3.0', src_tag: '7.3.0', error: unreachable })]);

describe('the text report', () => {
  it('gives each policy a line with a mark, the name and the counts', () => {
    const [line] = renderReport(runReport([policyNode('redis', [operation(), operation({ kind: 'sbom' })])])).split(
      '\n',
    );
    expect(line).toBe(
      '✓ redis imported=1 updated=0 restamped=0 held=0 deleted=0 aliased=0 skipped=0 marked=0 attested=0 sbom=1 failed=0',
    );
  });

  it('says PARTIAL where a part failed', () => {
    expect(renderReport(runReport([mixed]))).toMatch(/^≈ mixed PARTIAL imported=1 .* failed=1$/m);
  });

  it('shows type and message instead of counts where a policy failed as a whole', () => {
    expect(renderReport(runReport([failed]))).toMatch(/^✗ boom FAILED RegistryUnavailable: docker\.io answered 503$/m);
  });

  it('ends with one line for the run: mode, status, totals and failed policies', () => {
    const report = runReport([policyNode('redis', [operation()]), failed], { mode: 'dry-run' });
    expect(renderReport(report)).toMatch(
      /\nreconcile \[dry-run\] status=partial imported=1 .* failed=0 failed_policies=1\n$/,
    );
  });

  it('tells the notes of a policy below its line', () => {
    const notes = ['up.example/redis: one tag was \u0007resolved by GET'];
    expect(renderReport(runReport([policyNode('redis', [operation()], { notes })]))).toMatch(
      /^✓ redis imported=1 .*\n {2}note: up\.example\/redis: one tag was \\x07resolved by GET\n/,
    );
  });

  it('lists no operation unless asked to', () => {
    expect(renderReport(runReport([mixed]))).not.toContain('7.3.0');
  });

  it('lists targets and operations with --verbose, and says what is only planned', () => {
    const policy = policyNode('redis', [
      operation({ applied: false }),
      operation({ kind: 'aliased', out_tag: 'latest', src_tag: '7.2.0', out_digest: `sha256:${'b'.repeat(64)}` }),
      operation({
        ...{ kind: 'held', out_tag: '7', src_tag: '7', ready_at: '2026-03-09T05:00:00Z', applied: false },
        out_digest: `sha256:${'c'.repeat(64)}`,
      }),
      operation({ kind: 'held', out_tag: '6', src_tag: '6', reason: 'its base is gone', applied: false }),
      operation({ kind: 'imported', out_tag: '8', error: unreachable, transform_steps: ['injectCA', 'setTimezone'] }),
    ]);
    const lines = renderReport(runReport([policy]), { verbose: true }).split('\n');
    expect(lines[1]).toMatch(/^ {2}registry\.example\/mirror\/redis imported=1/);
    expect(lines.slice(2, 7)).toEqual([
      `    imported 7.2.0 ${DIGEST} (planned)`,
      `    aliased latest <- 7.2.0 sha256:${'b'.repeat(64)}`,
      `    held 7 ${DIGEST} ready_at=2026-03-09T05:00:00Z`,
      `    held 6 ${DIGEST} (its base is gone)`,
      `    imported failed 8 <- 7.2.0 ${DIGEST} steps=injectCA,setTimezone RegistryUnavailable: docker.io answered 503`,
    ]);
  });

  it('names the variant of an operation, but for the implied one', () => {
    const policy = policyNode('ubuntu', []);
    const target = { ...policy.targets[0], variants: [] } as (typeof policy.targets)[number];
    const variant = {
      name: 'eu',
      suffix: '-eu',
      status: 'ok',
      totals: noCounts(),
      operations: [operation({ out_tag: '7-eu' })],
    } as const;
    const withMark = {
      ...target,
      operations: [operation({ kind: 'marked', out_tag: '6', src_tag: null, digest: null })],
      variants: [variant],
    };
    const text = renderReport(runReport([{ ...policy, targets: [withMark] }]), { verbose: true });
    expect(text).toContain(`    imported 7-eu <- 7.2.0 ${DIGEST} [eu]\n`);
    expect(text).toContain('    marked 6\n');
  });

  it('says how many operations are not listed', () => {
    const report = runReport([mixed], { operations_cut: 120 });
    expect(renderReport(report, { verbose: true })).toContain('120 operations are not listed');
  });

  it('escapes control characters and line breaks that came from outside', () => {
    const message = 'no\r\x1b[2Jsuch\nthing \u202etxt';
    const report = runReport([{ ...failed, error: { ...unreachable, message } }]);
    expect(renderReport(report)).toContain('no\\x0d\\x1b[2Jsuch\\x0athing \\u{202e}txt');
  });

  it('colours marks and statuses through the palette it is given', () => {
    const palette = {
      good: (text: string) => `<g>${text}</g>`,
      doubtful: (text: string) => `<d>${text}</d>`,
      bad: (text: string) => `<b>${text}</b>`,
      minor: (text: string) => text,
    };
    const text = renderReport(runReport([policyNode('redis', [operation()]), mixed, failed]), { palette });
    expect(text).toContain('<g>✓</g> redis');
    expect(text).toContain('<d>≈</d> mixed <d>PARTIAL</d>');
    expect(text).toContain('<b>✗</b> boom <b>FAILED</b> <b>RegistryUnavailable</b>');
    expect(text).toContain('status=<d>partial</d>');
  });
});
