import { WORKFLOWS } from '../domain/durable/names.js';
import type { SweepVerb } from './cli/sweep-verb.js';
import type { InputOf, ResultOf, WorkflowName } from './workflow-types.js';

/** A walk through the registries, whose workflow id is its verb: one of each at a time. */
interface SweepKind<Name extends WorkflowName> {
  readonly workflow: Name;
  /** Whether it changes something, and only if its input says `apply`. */
  readonly dryRun: boolean;
  readonly description: string;
  readonly load: () => Promise<SweepVerb<InputOf<Name>, ResultOf<Name>>>;
}

/** Every sweep, in the order of the help. A verb's module is imported only when it is used. */
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

export type Sweep = {
  [Name in SweepName]: { readonly verb: Name; readonly input: InputOf<(typeof SWEEPS)[Name]['workflow']> };
}[SweepName];

/** Loads a sweep's verb for a report whose type only Temporal knows. */
export async function loadSweep(verb: SweepName): Promise<SweepVerb<Sweep['input'], unknown>> {
  return await SWEEPS[verb].load();
}

function kind<Name extends WorkflowName>(row: SweepKind<Name>): SweepKind<Name> {
  return row;
}
