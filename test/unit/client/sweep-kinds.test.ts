import { describe, expect, it } from 'vitest';
import { loadSweep, SWEEP_NAMES, SWEEPS } from '../../../client/sweep-kinds.js';
import { SCHEDULES } from '../../../domain/schedule/schedules.js';

describe.each(SWEEP_NAMES)('the sweep %s', (name) => {
  it('has a verb of its name, whose report has a published schema', async () => {
    const { schema } = await loadSweep(name);
    expect(schema()).toMatchObject({ $id: `https://houba.io/schemas/${name}-report.schema.json`, type: 'object' });
  });

  it('is what the schedule of its name starts, under the id that is its lock', () => {
    const schedule = SCHEDULES.find((one) => one.name === name);
    expect(schedule?.run).toMatchObject({ workflow: SWEEPS[name].workflow, workflowId: name });
  });

  it('has a dry run exactly if its scheduled run says that it is to apply', () => {
    const schedule = SCHEDULES.find((one) => one.name === name);
    expect(Object.hasOwn(schedule?.run.input as object, 'apply')).toBe(SWEEPS[name].dryRun);
  });
});
