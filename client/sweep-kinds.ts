import { WORKFLOWS } from '../domain/durable/names.js';
import type { SweepVerb } from './cli/sweep-verb.js';
import type { InputOf, ResultOf, WorkflowName } from './workflow-types.js';

/** A walk through the registries: one at a time of each, and its workflow id is its verb. */
interface SweepKind<Name extends WorkflowName> {
  /** Its input and its report are those of the workflow. */
  readonly workflow: Name;
  /** Whether it may change something, and does so only if its input says `apply`. */
  readonly dryRun: boolean;
  /** For the help. */
  readonly description: string;
  readonly load: () => Promise<SweepVerb<InputOf<Name>, ResultOf<Name>>>;
}

/** Every sweep, one row each, in the order of the help. A verb's code is read only when it is asked for. */
export const SWEEPS = {
  purge: kind({
    workflow: WORKFLOWS.purge,
    dryRun: true,
    description: 'retire marked tags that nobody uses any more; dry unless --apply',
    load: async () => (await import('./cli/verbs/purge.js')).PURGE,
  }),
  gc: kind({
    workflow: WORKFLOWS.gc,
    dryRun: true,
    description: 'collect superseded scan reports and digests; dry unless --apply',
    load: async () => (await import('./cli/verbs/gc.js')).GC,
  }),
  audit: kind({
    workflow: WORKFLOWS.audit,
    dryRun: false,
    description: 'say which images houba does not stand behind; writes nothing',
    load: async () => (await import('./cli/verbs/audit.js')).AUDIT,
  }),
};

export type SweepName = keyof typeof SWEEPS;
export const SWEEP_NAMES = Object.keys(SWEEPS) as SweepName[];

/** A sweep, and what it is asked for. */
export type Sweep = {
  [Name in SweepName]: { readonly verb: Name; readonly input: InputOf<(typeof SWEEPS)[Name]['workflow']> };
}[SweepName];

/** The code of a sweep's verb, for a report of which only Temporal knows the type. */
export async function loadSweep(verb: SweepName): Promise<SweepVerb<Sweep['input'], unknown>> {
  return await SWEEPS[verb].load();
}

function kind<Name extends WorkflowName>(row: SweepKind<Name>): SweepKind<Name> {
  return row;
}
