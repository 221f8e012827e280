import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { placementId } from '../../domain/durable/ids.js';
import { QUEUES } from '../../domain/durable/names.js';
import { HoubaError, NOTHING_SENT } from '../../domain/errors.js';
import { type Placement, placementFacts } from '../../domain/plan/work.js';
import type { placeImage } from '../../workflows/index.js';
import type { PlacementResult } from '../../workflows/place-image.js';
import { digestFor, placementOf, REBUILD } from '../support/durable-samples.js';
import { createGate, type Fakes, HAPPY, stampedDigest, untilCancelled } from '../support/fake-steps.js';
import { failureOf, openStage, type Stage } from '../support/workflow-env.js';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage(inject('workflowBundle'));
});
afterAll(() => stage.close());

function start(placement: Placement) {
  return stage.client.workflow.start<typeof placeImage>('placeImage', {
    args: [placement],
    taskQueue: QUEUES.flow,
    workflowId: placementId(placement.destination, placement.tag),
  });
}

async function place(placement: Placement): Promise<PlacementResult> {
  return (await start(placement)).result();
}

/** How a placement fails when these steps are played. */
async function failing(tag: string, fakes: Partial<Fakes>): Promise<unknown> {
  stage.play(fakes);
  return failureOf(place(placementOf('lib/failing', tag)));
}

/** Of a publication: the registry has not taken the PUT. */
const refused = async () => {
  throw new HoubaError('Denied', 'the registry refuses', { facts: { [NOTHING_SENT]: 1 } });
};

const denied = async () => {
  throw new HoubaError('Denied', 'the registry refuses');
};
const presentAlready: Fakes['inspectPlacement'] = async (placement, context) => ({
  ...(await HAPPY.inspectPlacement(placement, context)),
  stampedPresent: true,
});

describe('a placement', () => {
  it('inspects, writes by digest, takes the inventory, publishes the tag, and then moves the aliases', async () => {
    stage.play();
    const result = await place(placementOf('lib/happy', '7.2.0', { aliases: [{ alias: '7', current: null }] }));
    expect(stage.order()).toEqual(['inspectPlacement', 'writeImage', 'attachSboms', 'publishTag', 'publishTag']);
    const digest = stampedDigest('lib/happy:7.2.0');
    expect(result).toEqual({ digest, aliases: [{ alias: '7', moved: true, error: null }] });
  });

  it('publishes the inspected digest over what was planned to be there, and tells the journal what it does', async () => {
    stage.play();
    const current = digestFor('before');
    await place(placementOf('lib/publish', '7.2.0', { kind: 'updated', current }));
    const journal = {
      policy: 'redis',
      dest: 'registry.example/lib/publish',
      variant: 'default',
      kind: 'updated',
      out_tag: '7.2.0',
      src_tag: '7.2.0',
      digest: digestFor('source 7.2.0'),
    };
    expect(stage.inputs('publishTag')).toEqual([
      {
        begunAtMs: expect.any(Number),
        destination: { registry: 'main', host: 'registry.example', path: 'lib/publish' },
        tag: '7.2.0',
        digest: stampedDigest('lib/publish:7.2.0'),
        expected: current,
        journal,
        placed: { artifactType: 'image', signed: false, stamp: null },
      },
    ]);
  });

  it('hands what it inspected to the step that writes', async () => {
    stage.play({ inspectPlacement: presentAlready });
    await place(placementOf('lib/inspected', '1'));
    expect(stage.inputs('writeImage')[0]?.inspection).toMatchObject({ stampedPresent: true });
  });

  it.each(['helmChart', 'generic'] as const)('takes no inventory of a %s', async (artifactType) => {
    stage.play();
    const sample = placementOf(`lib/${artifactType.toLowerCase()}`, '1');
    await place({ ...sample, label: { ...sample.label, artifactType } });
    expect(stage.order()).toEqual(['inspectPlacement', 'writeImage', 'publishTag']);
  });

  it.each([
    ['imported', null],
    ['updated', null],
    ['restamped', digestFor('before')],
  ] as const)('takes the inventory of an image %s over another from %s', async (kind, carryFrom) => {
    stage.play();
    await place(placementOf('lib/carry', kind, { kind, current: digestFor('before') }));
    expect(stage.inputs('attachSboms')).toMatchObject([{ carryFrom, journal: null }]);
  });

  it('beside which something was deleted is done again from its first look', async () => {
    let published = 0;
    stage.play({ publishTag: async () => (++published < 3 ? 'again' : true) });
    const { digest } = await place(placementOf('lib/overtaken', '1'));
    const pass = ['inspectPlacement', 'writeImage', 'attachSboms', 'publishTag'];
    expect(stage.order()).toEqual([...pass, ...pass, ...pass]);
    expect(digest).toBe(stampedDigest('lib/overtaken:1'));
    const [first, second, third] = stage.inputs('publishTag');
    expect([first?.again, second?.again, third?.again]).toEqual([undefined, true, true]);
    expect(third?.begunAtMs).toBeGreaterThan(first?.begunAtMs ?? Number.POSITIVE_INFINITY);
    expect(stage.inputs('writeImage').map(({ again }) => again)).toEqual([undefined, true, true]);
  });

  it('says what it is doing', async () => {
    const entered = createGate();
    stage.play({ attachSboms: () => entered.hold(1) });
    const handle = await start(placementOf('lib/status', '1'));
    await entered.reached;
    const status = await handle.query('status');
    entered.open();
    await handle.result();
    expect(status).toMatchObject({ phase: 'inventory', digest: stampedDigest('lib/status:1') });
    expect(await handle.query('status')).toMatchObject({ phase: 'aliases' });
  });
});

describe('a rebuild', () => {
  const rebuild = (path: string, facts: Partial<Placement> = {}) =>
    placementOf(path, '7.2.0', { ...REBUILD, ...facts });

  it('is built, pushed by digest, inventoried and signed, and published last', async () => {
    stage.play();
    const placement = rebuild('lib/rebuilt', { sign: true });
    const { digest } = await place(placement);
    expect(stage.order()).toEqual(['inspectBuild', 'writeBuild', 'attachSboms', 'signEvidence', 'publishTag']);
    expect(stage.inputs('writeBuild')).toMatchObject([{ placement, inspection: { stamped: digest, built: [] } }]);
    expect(stage.inputs('publishTag')).toMatchObject([
      { digest, journal: { transform_steps: ['setTimezone'] }, placed: { signed: true } },
    ]);
  });

  it('is waited for as long as the builder is away', async () => {
    let tries = 0;
    stage.play({
      writeBuild: async () => {
        tries += 1;
        if (tries < 4) throw new HoubaError('BuilderUnavailable', 'nobody answers');
      },
    });
    await place(rebuild('lib/builder-away'));
    expect(tries).toBe(4);
  });

  it('that fails before anything is written leaves nothing to undo', async () => {
    stage.play({
      inspectBuild: async () => {
        throw new HoubaError('PolicyInvalid', 'the image has no time zones');
      },
    });
    expect(await failureOf(place(rebuild('lib/unbuilt')))).toMatchObject({ type: 'PolicyInvalid' });
    expect(stage.order()).toEqual(['inspectBuild']);
  });

  it.each(['writeBuild', 'attachSboms', 'signEvidence'] as const)(
    'is taken back when %s fails for good, and the tag does not move',
    async (step) => {
      stage.play({ [step]: denied });
      const path = `lib/undo-${step.toLowerCase()}`;
      expect(await failureOf(place(rebuild(path, { sign: true })))).toMatchObject({ type: 'Denied' });
      expect(stage.inputs('removeWritten')).toMatchObject([{ digest: stampedDigest(`${path}:7.2.0`) }]);
      expect(stage.order()).not.toContain('publishTag');
    },
  );

  it('that is cancelled ends its build, and writes nothing', async () => {
    const entered = createGate();
    const ended: string[] = [];
    stage.play({
      inspectBuild: async (_, context) => {
        entered.enter();
        return untilCancelled(context).finally(() => ended.push('build'));
      },
    });
    const handle = await start(rebuild('lib/build-cancelled'));
    await entered.reached;
    await handle.cancel();
    expect(await failureOf(handle.result())).toBeInstanceOf(CancelledFailure);
    expect(ended).toEqual(['build']);
    expect(stage.order()).toEqual(['inspectBuild']);
  });

  it('that is cancelled while it is pushed is taken back', async () => {
    const entered = createGate();
    stage.play({
      writeBuild: async (_, context) => {
        entered.enter();
        return untilCancelled(context);
      },
    });
    const handle = await start(rebuild('lib/push-cancelled'));
    await entered.reached;
    await handle.cancel();
    expect(await failureOf(handle.result())).toBeInstanceOf(CancelledFailure);
    expect(stage.order()).toEqual(['inspectBuild', 'writeBuild', 'removeWritten']);
  });

  it('is not built again for another stamp', async () => {
    stage.play();
    await place(rebuild('lib/restamped', { kind: 'restamped', current: digestFor('before') }));
    expect(stage.order()).toEqual(['inspectPlacement', 'writeImage', 'attachSboms', 'publishTag', 'dropOldStamps']);
  });
});

describe('upstream’s signature', () => {
  const signer = { key: 'cosign.pub' };

  it('is verified before anything else, and the stamp says by whom', async () => {
    stage.play({ verifyUpstream: async () => 'sha256:fingerprint' });
    const placement = placementOf('lib/verified', '7.2.0', { verifyUpstream: signer });
    await place(placement);
    expect(stage.order()[0]).toBe('verifyUpstream');
    const { source, baseDigest: digest } = placement;
    expect(stage.inputs('verifyUpstream')).toEqual([{ source, digest, signer }]);
    expect(stage.inputs('inspectPlacement')).toMatchObject([{ upstreamVerified: 'sha256:fingerprint' }]);
    expect(stage.inputs('writeImage')).toMatchObject([{ placement: { upstreamVerified: 'sha256:fingerprint' } }]);
  });

  it('that does not hold fails the tag closed: nothing is read further, and nothing written', async () => {
    stage.play({
      verifyUpstream: async () => {
        throw new HoubaError('SignatureInvalid', 'signed by another key');
      },
    });
    const error = await failureOf(place(placementOf('lib/unverified', '7.2.0', { verifyUpstream: signer })));
    expect(error).toMatchObject({ type: 'SignatureInvalid', message: 'signed by another key' });
    expect(stage.order()).toEqual(['verifyUpstream']);
  });
});

describe('evidence', () => {
  it('of upstream is kept with the original, before the tag moves', async () => {
    stage.play();
    const placement = placementOf('lib/kept', '7.2.0', { keepUpstreamEvidence: true });
    await place(placement);
    expect(stage.order()).toEqual(['inspectPlacement', 'writeImage', 'keepEvidence', 'attachSboms', 'publishTag']);
    const { source, baseDigest: digest, destination } = placement;
    expect(stage.inputs('keepEvidence')).toEqual([{ source, digest, destination }]);
  });

  it('is signed with what the placement says of itself', async () => {
    stage.play();
    const placement = placementOf('lib/signed', '7.2.0', { sign: true });
    const { digest: subject } = await place(placement);
    const { destination, tag } = placement;
    const facts = placementFacts(placement);
    expect(stage.inputs('signEvidence')).toEqual([
      { destination, tag, subject, artifactType: 'image', facts, journal: null },
    ]);
  });

  it('of what is no image is signed as well', async () => {
    stage.play();
    const sample = placementOf('lib/signed-chart', '1', { sign: true });
    await place({ ...sample, label: { ...sample.label, artifactType: 'helmChart' } });
    expect(stage.order()).toEqual(['inspectPlacement', 'writeImage', 'signEvidence', 'publishTag']);
  });

  it('that cannot be signed holds the tag back', async () => {
    stage.play({ signEvidence: denied });
    const error = await failureOf(place(placementOf('lib/unsigned', '7.2.0', { sign: true })));
    expect(error).toMatchObject({ type: 'Denied' });
    expect(stage.order()).toEqual(['inspectPlacement', 'writeImage', 'attachSboms', 'signEvidence', 'removeWritten']);
  });
});

describe('a stamp beside the image', () => {
  const beside = (path: string, facts: Partial<Placement> = {}) =>
    placementOf(path, '7.2.0', { stampTo: 'referrer', ...facts });
  /** The original is published as it is. */
  const asItIs: Fakes['inspectPlacement'] = async (placement, context) => ({
    ...(await HAPPY.inspectPlacement(placement, context)),
    stamped: placement.baseDigest,
  });

  it('is there before the tag moves, and what it replaces goes after', async () => {
    stage.play({ inspectPlacement: asItIs });
    const placement = beside('lib/beside');
    const { digest } = await place(placement);
    expect(digest).toBe(placement.baseDigest);
    expect(stage.order().slice(2)).toEqual(['attachSboms', 'putStamp', 'publishTag', 'dropOldStamps']);
    const stamp = stampedDigest(`beside ${digest}`);
    expect(stage.inputs('publishTag')).toMatchObject([{ placed: { stamp } }]);
    const { destination, tag } = placement;
    expect(stage.inputs('dropOldStamps')).toEqual([{ destination, tag, subjects: [digest], keep: stamp }]);
  });

  it('is taken back with the image when the tag cannot move, the last first', async () => {
    stage.play({ publishTag: refused });
    expect(await failureOf(place(beside('lib/beside-undo')))).toMatchObject({ type: 'Denied' });
    expect(stage.order().slice(-3)).toEqual(['publishTag', 'removeStamp', 'removeWritten']);
    expect(stage.inputs('removeStamp')).toEqual(stage.inputs('putStamp'));
  });

  it('stays when the tag may show the image', async () => {
    stage.play({ publishTag: denied });
    expect(await failureOf(place(beside('lib/beside-sent')))).toMatchObject({ type: 'Denied' });
    expect(stage.order()).not.toContain('removeStamp');
    expect(stage.order()).not.toContain('removeWritten');
  });

  it('is not taken back where it was found: another placement has put it', async () => {
    const inspectPlacement: Fakes['inspectPlacement'] = async (placement, context) => ({
      ...(await presentAlready(placement, context)),
      stampThere: true,
    });
    stage.play({ publishTag: refused, inspectPlacement });
    expect(await failureOf(place(beside('lib/beside-found')))).toMatchObject({ type: 'Denied' });
    expect(stage.order().slice(-2)).toEqual(['putStamp', 'publishTag']);
  });

  it('is taken back alone where the image is the original, which others may share', async () => {
    stage.play({ publishTag: refused, inspectPlacement: asItIs });
    await failureOf(place(beside('lib/beside-original')));
    expect(stage.order().slice(-2)).toEqual(['publishTag', 'removeStamp']);
  });

  it('replaces the old one of what the tag showed before, on a restamp', async () => {
    stage.play();
    const current = digestFor('before');
    const { digest } = await place(beside('lib/beside-restamp', { kind: 'restamped', current }));
    expect(stage.inputs('dropOldStamps')).toMatchObject([{ subjects: [digest, current] }]);
  });
});

describe('a placement that was planned by an earlier version', () => {
  it('is a plain copy: it knows nothing of what came later', async () => {
    stage.play();
    const sample: Record<string, unknown> = { ...placementOf('lib/earlier', '7.2.0', { kind: 'restamped' }) };
    for (const key of ['platforms', 'transform', 'stampTo', 'keepUpstreamEvidence', 'verifyUpstream', 'sign']) {
      delete sample[key];
    }
    await place(sample as unknown as Placement);
    expect(stage.order()).toEqual(['inspectPlacement', 'writeImage', 'attachSboms', 'publishTag']);
  });
});

describe('a step that fails', () => {
  it('is tried again while its registry is away', async () => {
    let tries = 0;
    stage.play({
      writeImage: async () => {
        tries += 1;
        if (tries < 3) throw new HoubaError('RegistryUnavailable', 'nobody answers');
      },
    });
    await place(placementOf('lib/retried', '1'));
    expect(tries).toBe(3);
  });

  it('waits for as long as the registry asks', async () => {
    let tries = 0;
    stage.play({
      publishTag: async () => {
        tries += 1;
        if (tries === 1) throw new HoubaError('RateLimited', 'too many', { retryAfterMs: 20 * 60_000 });
        return true;
      },
    });
    const handle = await start(placementOf('lib/patient', '1'));
    await handle.result();
    const { startTime, closeTime } = await handle.describe();
    expect((closeTime as Date).getTime() - startTime.getTime()).toBeGreaterThanOrEqual(20 * 60_000);
  });

  it('is not tried again when that cannot help', async () => {
    const error = await failing('not-found', {
      inspectPlacement: async () => {
        throw new HoubaError('NotFound', 'it is gone', { hint: 'look upstream' });
      },
    });
    expect(stage.order()).toEqual(['inspectPlacement']);
    expect(error).toMatchObject({ type: 'NotFound', message: 'it is gone (look upstream)' });
  });

  it.each(['inspectPlacement', 'writeImage', 'attachSboms'] as const)(
    'for good leaves the tag alone: %s',
    async (step) => {
      const error = await failing(step, { [step]: denied });
      expect(stage.order()).not.toContain('publishTag');
      expect(error).toMatchObject({ type: 'Denied' });
    },
  );
});

describe('the compensation', () => {
  it.each(['writeImage', 'attachSboms', 'publishTag'] as const)(
    'removes what was found absent when %s fails for good',
    async (step) => {
      const error = await failing(`undo-${step}`, { [step]: step === 'publishTag' ? refused : denied });
      expect(stage.order().at(-1)).toBe('removeWritten');
      expect(stage.inputs('removeWritten')).toMatchObject([{ digest: stampedDigest(`lib/failing:undo-${step}`) }]);
      expect(error).toMatchObject({ type: 'Denied', message: 'the registry refuses' });
    },
  );

  it('removes nothing that was there before', async () => {
    const error = await failing('present', { inspectPlacement: presentAlready, attachSboms: denied });
    expect(stage.order()).not.toContain('removeWritten');
    expect(error).toMatchObject({ type: 'Denied' });
  });

  it('removes nothing that a tag may show by now, whatever a read says', async () => {
    const error = await failing('sent', { publishTag: denied });
    expect(stage.order()).not.toContain('removeWritten');
    const digest = stampedDigest('lib/failing:sent');
    const message = `the registry refuses; its tag may show ${digest}, which stays`;
    expect(error).toMatchObject({ type: 'Denied', message });
  });

  it('removes nothing when a second pass fails: the first has moved the tag', async () => {
    let attaches = 0;
    const error = await failing('second-pass', {
      attachSboms: async () => (++attaches === 1 ? 1 : denied()),
      publishTag: async () => 'again',
    });
    expect(error).toMatchObject({ type: 'Denied' });
    expect(stage.order().filter((step) => step === 'publishTag')).toHaveLength(1);
    expect(stage.order()).not.toContain('removeWritten');
  });

  it('is done where the registry cannot delete: the digest is left behind', async () => {
    const removeWritten: Fakes['removeWritten'] = async ({ digest }) => ({ leftBehind: [digest] });
    const error = await failing('left-behind', { publishTag: refused, removeWritten });
    expect(error).toMatchObject({ type: 'Denied', message: expect.stringMatching(/left behind.*sha256:/) });
  });

  it('that fails says so, and asks for a person', async () => {
    stage.play({ publishTag: refused, removeWritten: denied });
    const handle = await start(placementOf('lib/stuck', '1'));
    const error = await failureOf(handle.result());
    expect(error).toBeInstanceOf(ApplicationFailure);
    expect(error).toMatchObject({ type: 'CompensationFailed', nonRetryable: true });
    expect((error as ApplicationFailure).message).toContain('the registry refuses');
    const { searchAttributes } = await handle.describe();
    expect(searchAttributes).toMatchObject({ HoubaNeedsHuman: [true] });
  });

  it('is tried again for a day', async () => {
    let tries = 0;
    const error = await failing('long', {
      publishTag: refused,
      removeWritten: async () => {
        tries += 1;
        if (tries < 12) throw new HoubaError('RateLimited', 'not now', { retryAfterMs: 3_600_000 });
        return { leftBehind: [] };
      },
    });
    expect(tries).toBe(12);
    expect(error).toMatchObject({ type: 'Denied' });
  });

  it.each([
    ['that is sent', { publishTag: true }, ['publishTag']],
    ['that waits for its registry', { publishTag: 'retried' }, ['publishTag', 'publishTag']],
    [
      'that a deletion has overtaken',
      { publishTag: 'again' },
      ['publishTag', 'inspectPlacement', 'writeImage', 'attachSboms', 'publishTag'],
    ],
  ] as const)('is not called for by a cancellation during a publication %s: it goes on', async (_, facts, rest) => {
    const entered = createGate();
    let published = 0;
    stage.play({
      publishTag: async (_request, { signal }) => {
        published += 1;
        if (published > 1) return true;
        await entered.hold(null);
        expect(signal.aborted).toBe(false);
        if (facts.publishTag === 'retried') throw new HoubaError('RegistryUnavailable', 'the answer was lost');
        return facts.publishTag;
      },
    });
    const handle = await start(placementOf('lib/cancelled', `publishing-${facts.publishTag}`));
    await entered.reached;
    await handle.cancel();
    entered.open();
    await handle.result();
    expect(stage.order().slice(3)).toEqual(rest);
  });

  it('is called for by a cancellation that comes before anything is sent', async () => {
    const entered = createGate();
    // The step ends well although it is cancelled, as one may that was all but done.
    stage.play({
      attachSboms: (_, context) => {
        entered.enter();
        return untilCancelled(context).catch(() => 1);
      },
    });
    const handle = await start(placementOf('lib/cancelled', 'before'));
    await entered.reached;
    await handle.cancel();
    expect(await failureOf(handle.result())).toBeInstanceOf(CancelledFailure);
    expect(stage.order().slice(2)).toEqual(['attachSboms', 'removeWritten']);
  });

  it('runs after a cancelled publication that the registry refuses', async () => {
    const entered = createGate();
    stage.play({ publishTag: () => entered.hold(null).then(refused) });
    const handle = await start(placementOf('lib/cancelled', 'refused'));
    await entered.reached;
    await handle.cancel();
    entered.open();
    expect(await failureOf(handle.result())).toMatchObject({ type: 'Denied' });
    expect(stage.order().slice(3)).toEqual(['publishTag', 'removeWritten']);
  });

  it('runs when the placement is cancelled, after its tool has ended', async () => {
    const ended: string[] = [];
    const entered = createGate();
    stage.play({
      attachSboms: async (_, context) => {
        entered.enter();
        return untilCancelled(context).finally(() => ended.push('attachSboms'));
      },
      removeWritten: async (_, { signal }) => {
        ended.push(`removeWritten, ${signal.aborted ? 'cancelled' : 'left in peace'}`);
        return { leftBehind: [] };
      },
    });
    const handle = await start(placementOf('lib/cancelled', '1'));
    await entered.reached;
    await handle.cancel();
    expect(await failureOf(handle.result())).toBeInstanceOf(CancelledFailure);
    expect(ended).toEqual(['attachSboms', 'removeWritten, left in peace']);
    expect(stage.order()).not.toContain('publishTag');
    expect((await handle.describe()).status.name).toBe('CANCELLED');
  });
});

describe('an alias', () => {
  const aliases = [
    { alias: '7', current: digestFor('seven') },
    { alias: '7.2', current: null },
  ];

  it('that fails is reported, does not hold up the next one, and takes nothing back', async () => {
    stage.play({
      publishTag: async ({ tag }) => {
        if (tag === '7') throw new HoubaError('PreconditionFailed', 'moved by somebody else');
        return true;
      },
    });
    const result = await place(placementOf('lib/alias', '7.2.0', { aliases }));
    const error = { type: 'PreconditionFailed', message: 'moved by somebody else', exit_code: 1 };
    expect(result.aliases).toEqual([
      { alias: '7', moved: false, error },
      { alias: '7.2', moved: true, error: null },
    ]);
    expect(stage.order()).not.toContain('removeWritten');
  });

  it('goes over what was planned to be there, and says so in the journal', async () => {
    stage.play();
    await place(placementOf('lib/expected', '7.2.0', { aliases }));
    const [, first, second] = stage.inputs('publishTag');
    expect(first).toMatchObject({
      tag: '7',
      expected: digestFor('seven'),
      digest: stampedDigest('lib/expected:7.2.0'),
    });
    expect(second).toMatchObject({ tag: '7.2', expected: null });
    expect(second?.journal).toMatchObject({ kind: 'aliased', out_tag: '7.2', src_tag: '7.2.0' });
  });

  it('that points there already counts as not moved', async () => {
    stage.play({ publishTag: async ({ tag }) => tag === '7.2.0' });
    const result = await place(placementOf('lib/equal', '7.2.0', { aliases }));
    expect(result.aliases.map(({ moved }) => moved)).toEqual([false, false]);
  });
});
