import type { FleetInput, PolicySource } from '../domain/durable/messages.js';
import type { RunOptions } from '../domain/plan/request.js';

export interface FleetInputOptions extends Partial<RunOptions> {
  /** The shard, counted from 0, and their number; all policies by default. */
  readonly shard?: FleetInput['shard'];
  /** Reconciles this policy alone; the whole set is still checked. */
  readonly only?: string | null;
}

/**
 * Makes the input of a reconcile, with the command line's defaults. @param policies null: those of the worker's
 * `POLICY_DIR`
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
