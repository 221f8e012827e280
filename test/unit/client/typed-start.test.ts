import type { Client } from '@temporalio/client';
import { describe, expectTypeOf, it } from 'vitest';
import type { HoubaClient } from '../../../client/sdk.js';
import { startRun } from '../../../client/start-or-join.js';
import type { InputOf, ResultOf, WorkflowName } from '../../../client/workflow-types.js';
import type { FleetResult, PolicyResult } from '../../../domain/durable/messages.js';
import { WORKFLOWS } from '../../../domain/durable/names.js';
import type { GcInput, PurgeInput } from '../../../domain/durable/sweeps.js';
import type { PurgeReport } from '../../../domain/report/purge-report.js';

const client = {} as Client;
const told = { workflowId: 'any', summary: '' };
const purge = {} as PurgeInput;
const gc = {} as GcInput;

describe('a start', () => {
  it('knows every workflow by the name that it has on the wire', () => {
    expectTypeOf<(typeof WORKFLOWS)[keyof typeof WORKFLOWS]>().toExtend<WorkflowName>();
  });

  it('takes the input of its workflow, and gives its result', () => {
    expectTypeOf<InputOf<'purgeFleet'>>().toEqualTypeOf<PurgeInput>();
    expectTypeOf<ResultOf<'purgeFleet'>>().toEqualTypeOf<PurgeReport>();
    expectTypeOf<ResultOf<'reconcileFleet'>>().toEqualTypeOf<FleetResult>();
    expectTypeOf<ResultOf<'reconcilePolicy'>>().toEqualTypeOf<PolicyResult>();
  });

  it('does not compile with the input of another, nor of a workflow that is not there', () => {
    const never = () => [
      startRun(client, { workflow: WORKFLOWS.purge, input: purge, ...told }),
      // @ts-expect-error: the input of a gc
      startRun(client, { workflow: WORKFLOWS.purge, input: gc, ...told }),
      // @ts-expect-error: no such workflow
      startRun(client, { workflow: 'purgeAll', input: purge, ...told }),
    ];
    expectTypeOf(never).toBeFunction();
  });

  it('of a sweep does not compile with the input of another', () => {
    const never = (houba: HoubaClient) => [
      houba.startSweep({ verb: 'gc', input: gc }),
      // @ts-expect-error: the input of a purge
      houba.startSweep({ verb: 'gc', input: purge }),
    ];
    expectTypeOf(never).toBeFunction();
  });
});
