import { addCounts, noCounts, type PolicyNode, type RunReport, type TargetNode, worstOf } from './run-report.js';

/** One report of several runs that were one piece of work, at least one; a policy stands in it once. */
export function mergeReports([first, ...others]: readonly [RunReport, ...RunReport[]]): RunReport {
  if (others.length === 0) return first;
  const all = [first, ...others];
  const policies = new Map<string, PolicyNode>();
  for (const policy of all.flatMap((report) => report.policies)) {
    const known = policies.get(policy.name);
    policies.set(policy.name, known === undefined ? policy : mergePolicies(known, policy));
  }
  const nodes = [...policies.values()];
  return {
    ...first,
    operations_cut: all.reduce((sum, report) => sum + report.operations_cut, 0),
    status: worstOf(nodes.map(({ status }) => status)),
    totals: sumOf(nodes),
    policies: nodes,
  };
}

function mergePolicies(a: PolicyNode, b: PolicyNode): PolicyNode {
  // A run that could not plan has no targets.
  const targets = mergeTargets(a.targets, b.targets);
  const notes = a.notes ?? b.notes;
  return {
    ...{ ...a, status: worstOf([a.status, b.status]), error: a.error ?? b.error, totals: sumOf([a, b]), targets },
    ...(notes === undefined ? {} : { notes }),
  };
}

/** The targets of one policy come in the same order in all its runs, unless one of them knows none. */
function mergeTargets(a: readonly TargetNode[], b: readonly TargetNode[]): readonly TargetNode[] {
  const [longer, shorter] = a.length < b.length ? [b, a] : [a, b];
  return longer.map((target, index) => {
    const other = shorter[index];
    return other === undefined ? target : mergeNodes(target, other);
  });
}

function mergeNodes(a: TargetNode, b: TargetNode): TargetNode {
  return {
    ...a,
    status: worstOf([a.status, b.status]),
    totals: sumOf([a, b]),
    operations: [...a.operations, ...b.operations],
    variants: a.variants.map((variant, index) => {
      const other = b.variants[index];
      if (other === undefined) return variant;
      return {
        ...variant,
        status: worstOf([variant.status, other.status]),
        totals: sumOf([variant, other]),
        operations: [...variant.operations, ...other.operations],
      };
    }),
  };
}

function sumOf(nodes: readonly Pick<PolicyNode, 'totals'>[]): PolicyNode['totals'] {
  const sum = noCounts();
  for (const { totals } of nodes) addCounts(sum, totals);
  return sum;
}
