import { describe, expect, it } from 'vitest';
import { loadSweep, SWEEP_NAMES, SWEEPS } from '../../../client/sweep-kinds.js';
import { SCHEDULES } from '../../../domain/schedule/schedules.js';

describe.each(SWEEP_NAMES)('the sweep %s', (name) => {
  it('has a verb of its name, whose report has a published schema', async () => {
    const { schema } = await loadSweep(name);
    expect(schema()).toMatchObject({ $id: `https://houba.io/schemas/${name}-report.schema.json`, type: 'object' });
  });
});

const scheduled = SCHEDULES.flatMap(({ name, run }) => {
  const sweep = SWEEP_NAMES.find((one) => one === name);
  return sweep === undefined ? [] : [{ sweep, run }];
});

describe.each(scheduled)('the schedule of the sweep $sweep', ({ sweep, run }) => {
  it('starts its workflow, under the id that is its lock', () => {
    expect(run).toMatchObject({ workflow: SWEEPS[sweep].workflow, workflowId: sweep });
  });

  it('says that it is to apply exactly if the sweep has a dry run', () => {
    expect(Object.hasOwn(run.input, 'apply')).toBe(SWEEPS[sweep].dryRun);
  });
});

it('every sweep there is has a schedule', () => {
  expect(scheduled.map(({ sweep }) => sweep).sort()).toEqual(['audit', 'gc', 'purge']);
});
