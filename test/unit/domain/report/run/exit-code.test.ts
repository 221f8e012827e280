import { describe, expect, it } from 'vitest';
import { changesPending, exitCodeOf } from '../../../../../domain/report/run/exit-code.js';
import { OPERATION_KINDS, type OperationKind } from '../../../../../domain/report/run/run-report.js';
import { operation, policyNode, runReport } from './report-samples.js';

function error(exit_code: number) {
  return { type: 'any', message: 'any', exit_code };
}

describe('the exit code of a run', () => {
  it('is 0 when nothing failed, held tags included', () => {
    expect(exitCodeOf(runReport([policyNode('redis', [operation({ kind: 'held', applied: false })])]))).toBe(0);
  });

  it.each([
    ['of operations', [policyNode('a', [operation({ error: error(1) }), operation({ error: error(2) })])], 2],
    [
      'of policies and operations',
      [policyNode('a', [operation({ error: error(2) })]), policyNode('b', [], { status: 'failed', error: error(3) })],
      3,
    ],
    [
      'whatever the order',
      [policyNode('a', [], { status: 'failed', error: error(4) }), policyNode('b', [operation({ error: error(1) })])],
      4,
    ],
  ])('is the worst code %s', (_, policies, expected) => {
    expect(exitCodeOf(runReport(policies))).toBe(expected);
  });

  it('counts a failed deletion or mark of a target', () => {
    const policy = policyNode('a', []);
    const targets = policy.targets.map((target) => ({
      ...target,
      operations: [operation({ kind: 'marked', error: error(2) }), operation({ kind: 'marked' })],
    }));
    expect(exitCodeOf(runReport([{ ...policy, targets }]))).toBe(2);
  });

  it('one failed policy beside a good one is 2 for the run (vector exit-partial-policy)', () => {
    const report = runReport([
      policyNode('redis', [operation()]),
      policyNode('boom', [], { status: 'failed', error: error(2) }),
    ]);
    expect(report.status).toBe('partial');
    expect(exitCodeOf(report)).toBe(2);
  });

  it('is 4 when a report says failed and no error explains it', () => {
    expect(exitCodeOf(runReport([policyNode('a', [], { status: 'failed' })]))).toBe(4);
  });
});

describe('changes are pending', () => {
  const waiting: readonly OperationKind[] = ['held', 'skipped'];
  it.each(OPERATION_KINDS)('%s counts unless it only waits or was not wanted', (kind) => {
    const report = runReport([policyNode('a', [operation({ kind, applied: false })])]);
    expect(changesPending(report)).toBe(!waiting.includes(kind));
  });

  it('nothing to do is no change', () => {
    expect(changesPending(runReport([policyNode('a', [])]))).toBe(false);
  });
});
