import type { FleetInput, PolicySource } from '../domain/durable/messages.js';
import type { RunOptions } from '../domain/plan/request.js';

export interface FleetInputOptions extends Partial<RunOptions> {
  /** Which shard this is, from 0, and of how many. All by default. */
  readonly shard?: FleetInput['shard'];
  /** Work on this policy alone; the whole set is still checked. */
  readonly only?: string | null;
}

/**
 * The input of a reconcile of these policies, with the command line's defaults.
 * @param policies null: those in `POLICY_DIR` on the worker
 */
export function fleetInput(policies: readonly PolicySource[] | null, options: FleetInputOptions = {}): FleetInput {
  return {
    policies,
    shard: options.shard ?? { index: 0, count: 1 },
    only: options.only ?? null,
    options: {
      dryRun: options.dryRun ?? false,
      concurrency: options.concurrency ?? null,
      recheck: options.recheck ?? false,
      allowMassDeletion: options.allowMassDeletion ?? false,
    },
  };
}
