import { describe, expect, it } from 'vitest';
import { mergeReports } from '../../../../../domain/report/run/merge-reports.js';
import { operation, policyNode, runReport } from './report-samples.js';

const error = { type: 'NotFound', message: 'gone', exit_code: 2 };

describe('reports of runs that were one piece of work', () => {
  it('are one report, in which a policy stands once with all its operations', () => {
    const first = runReport([policyNode('a', [operation({ out_tag: '1' })]), policyNode('b', [operation()])]);
    const second = runReport([policyNode('b', [operation({ out_tag: '2' }), operation({ out_tag: '3', error })])]);
    const merged = mergeReports([
      { ...first, operations_cut: 1 },
      { ...second, operations_cut: 2 },
    ]);
    expect(merged.policies.map(({ name }) => name)).toEqual(['a', 'b']);
    expect(merged.operations_cut).toBe(3);
    const [, b] = merged.policies;
    expect(b?.targets[0]?.variants[0]?.operations).toHaveLength(3);
    expect(b?.totals).toEqual(b?.targets[0]?.totals);
    expect(b?.status).toBe('partial');
    expect(merged.status).toBe('partial');
    expect(merged.totals.failed).toBe(1);
  });

  it('are the report itself when there is one', () => {
    const report = runReport([policyNode('a', [operation()])]);
    expect(mergeReports([report])).toBe(report);
  });

  it('tell a note once, whichever of them has it', () => {
    const [plain, noted] = [policyNode('a', [operation()]), policyNode('a', [operation()], { notes: ['look'] })];
    const nodesOf = (a: typeof plain, b: typeof plain) => mergeReports([runReport([a]), runReport([b])]).policies;
    expect(nodesOf(plain, noted)[0]?.notes).toEqual(['look']);
    expect(nodesOf(noted, noted)[0]?.notes).toEqual(['look']);
    expect(nodesOf(plain, plain)[0]).not.toHaveProperty('notes');
  });

  it('keep what stopped a policy in one of them', () => {
    const stopped = { status: 'failed' as const, error, targets: [] };
    const done = policyNode('a', [operation()]);
    for (const nodes of [
      [done, policyNode('a', [], stopped)],
      [policyNode('a', [], stopped), done],
    ] as const) {
      const { policies, status } = mergeReports([runReport([nodes[0]]), runReport([nodes[1]])]);
      expect(policies[0]).toMatchObject({ status: 'partial', error, targets: done.targets });
      expect(status).toBe('partial');
    }
  });
});
