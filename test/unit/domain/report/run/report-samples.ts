import {
  addCounts,
  countOperation,
  noCounts,
  type Operation,
  type PolicyNode,
  type RunReport,
  statusOf,
  worstOf,
} from '../../../../../domain/report/run/run-report.js';

export const DIGEST = `sha256:${'a'.repeat(64)}`;

export function operation(fields: Partial<Operation> = {}): Operation {
  return {
    kind: 'imported',
    out_tag: '7.2.0',
    src_tag: '7.2.0',
    digest: DIGEST,
    applied: true,
    ready_at: null,
    error: null,
    transform_steps: null,
    out_digest: null,
    ...fields,
  };
}

/** A policy with one target and one variant holding these operations. */
export function policyNode(
  name: string,
  operations: readonly Operation[],
  fields: Partial<PolicyNode> = {},
): PolicyNode {
  const totals = noCounts();
  for (const one of operations) countOperation(totals, one);
  const status = statusOf(totals);
  const variant = { name: 'default', suffix: '', status, totals, operations };
  const target = { dest_repo: `registry.example/mirror/${name}`, status, totals, operations: [], variants: [variant] };
  return { name, source: `docker.io/library/${name}`, status, error: null, totals, targets: [target], ...fields };
}

export function runReport(policies: readonly PolicyNode[], fields: Partial<RunReport> = {}): RunReport {
  const totals = noCounts();
  for (const policy of policies) addCounts(totals, policy.totals);
  const status = worstOf(policies.map((policy) => policy.status));
  return { schema_version: 1, operations_cut: 0, mode: 'apply', status, totals, policies, ...fields };
}
