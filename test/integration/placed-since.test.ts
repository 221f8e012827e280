import { MockActivityEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { placedSince, whoIsAtWork } from '../../activities/deletion/who-is-at-work.js';
import { placementId } from '../../domain/durable/ids.js';
import { QUEUES } from '../../domain/durable/names.js';
import { HoubaError } from '../../domain/errors.js';
import { formatRepository } from '../../domain/reference.js';
import type { placeImage } from '../../workflows/index.js';
import { placementAttributes } from '../../workflows/search-attributes.js';
import { digestFor, placementOf } from '../support/durable-samples.js';
import { createGate } from '../support/fake-steps.js';
import { until } from '../support/stack.js';
import { failureOf, openStage, type Stage } from '../support/workflow-env.js';

// What Temporal knows of placements, on a real server, which has visibility.
let stage: Stage;
beforeAll(async () => {
  stage = await openStage(inject('workflowBundle'), 'local');
  stage.play();
});
afterAll(() => stage.close());

function start(path: string, tag: string, baseDigest = digestFor(tag)) {
  const placement = placementOf(path, tag, { baseDigest });
  const { destination, label } = placement;
  const at = { policy: label.policy, repository: formatRepository(destination), tag, digest: baseDigest };
  return stage.client.workflow.start<typeof placeImage>('placeImage', {
    args: [placement],
    taskQueue: QUEUES.flow,
    workflowId: placementId(destination, tag),
    typedSearchAttributes: placementAttributes(at),
  });
}

const repositoryOf = (path: string) => placementOf(path, '').destination;
const asStep = <Result>(work: () => Promise<Result>): Promise<Result> =>
  new MockActivityEnvironment({}, { client: stage.client }).run(work);
const since = (path: string, atMs: number) => asStep(() => placedSince(repositoryOf(path), atMs));

describe('what was placed', () => {
  it('is known by its tag, its policy and its base, the last of each tag', async () => {
    const begun = Date.now();
    const handle = await start('lib/known', '1');
    await handle.result();
    await (await start('lib/known', '2')).result();
    await (await start('lib/known', '1', digestFor('moved'))).result();
    await (await start('lib/else', '3')).result();
    await until(async () => (await since('lib/known', begun)).length === 2);
    const placed = (await since('lib/known', begun)).sort((a, b) => a.tag.localeCompare(b.tag));
    expect(placed).toEqual([
      { tag: '1', policy: 'redis', baseDigest: digestFor('moved'), endedAtMs: expect.any(Number) },
      { tag: '2', policy: 'redis', baseDigest: digestFor('2'), endedAtMs: expect.any(Number) },
    ]);
    const last = Math.max(...placed.map(({ endedAtMs }) => endedAtMs));
    expect(last).toBeGreaterThanOrEqual(begun);
    expect(await since('lib/known', last + 1)).toEqual([]);
  });

  it('is neither what is being placed nor what failed', async () => {
    const gate = createGate();
    stage.play({
      publishTag: async ({ tag }) => {
        if (tag === 'failed') throw new HoubaError('Denied', 'the registry refuses');
        return gate.hold(true);
      },
    });
    const begun = Date.now();
    const running = await start('lib/other', 'running');
    await gate.reached;
    await failureOf((await start('lib/other', 'failed')).result());
    await until(async () => (await asStep(() => whoIsAtWork('', repositoryOf('lib/other')))) !== null);
    expect(await since('lib/other', begun)).toEqual([]);
    gate.open();
    await running.result();
    await until(async () => (await since('lib/other', begun)).length === 1);
  });
});
