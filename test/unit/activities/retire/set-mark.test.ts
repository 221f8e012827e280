import { beforeEach, describe, expect, it } from 'vitest';
import type { MarkRequest } from '../../../../activities/retire/set-mark.js';
import type { Digest } from '../../../../domain/digest.js';
import { MARK_ARTIFACT_TYPE, type Mark, markAnnotations, readMarks } from '../../../../domain/lifecycle/mark.js';
import { type ActivityWorld, createWorld, run } from '../../../support/activity-world.js';
import { DESTINATION } from '../../../support/durable-samples.js';
import { storeImage } from '../../../support/memory-registries.js';

const NOW = '2026-06-13T00:00:00+00:00';
const JOURNAL = { policy: 'redis', kind: 'marked', out_tag: '7.2.0' } as const;

let world: ActivityWorld;
let digest: Digest;
beforeEach(() => {
  world = createWorld();
  digest = storeImage(mirror(), { salt: '7.2.0' });
  mirror().tags.set('7.2.0', digest);
});

const mirror = () => world.registries.store(DESTINATION);

function mark(facts: Partial<Mark> = {}): Mark {
  return {
    ...{ tag: '7.2.0', state: 'pending-deletion', markedAt: NOW, reason: 'dropped-from-selection', restored: null },
    identity: { policy: 'redis', import: 'all', variant: 'default' },
    ...facts,
  };
}

function set(put: Mark | null, facts: Partial<MarkRequest> = {}): Promise<boolean> {
  return run(world.steps.setMark, { destination: DESTINATION, tag: '7.2.0', digest, put, journal: JOURNAL, ...facts });
}

/** Somebody else's doing. */
async function attach(facts: Partial<Mark> = {}): Promise<Digest> {
  const artifact = { artifactType: MARK_ARTIFACT_TYPE, annotations: markAnnotations(mark(facts), 'io.houba') };
  const referrer = await world.registries.regctl.putArtifact(DESTINATION, digest, artifact);
  world.registries.writes.length = 0;
  return referrer;
}

async function found() {
  return readMarks(digest, await world.registries.reader.listReferrers(DESTINATION, digest), 'io.houba');
}

const verbs = () => world.registries.writes.map((call) => call.split(' ')[0]);

describe('a tag that is to go', () => {
  it('gets a mark without content that names it, and the journal tells', async () => {
    expect(await set(mark())).toBe(true);
    expect((await found()).map((one) => one.mark)).toEqual([mark()]);
    expect(world.registries.writes).toEqual([`ATTACH registry.example/lib/redis@${digest} ${MARK_ARTIFACT_TYPE}`]);
    expect(world.journal).toEqual([{ event: 'operation', fields: { ...JOURNAL, out_digest: digest, applied: true } }]);
  });

  it('keeps a mark for the same reason, and its time', async () => {
    const early = await attach({ markedAt: '2026-06-01T00:00:00+00:00' });
    expect(await set(mark())).toBe(false);
    expect((await found()).map(({ referrer }) => referrer)).toEqual([early]);
    expect([...world.registries.writes, ...world.journal]).toEqual([]);
  });

  it('is told again by an attempt that finds its own mark, and not marked twice', async () => {
    await set(mark());
    expect(await set(mark())).toBe(true);
    expect(verbs()).toEqual(['ATTACH']);
  });

  it('has a mark at every moment while its reason changes', async () => {
    await attach({ reason: 'retention-excess' });
    expect(await set(mark())).toBe(true);
    expect(verbs()).toEqual(['ATTACH', 'DELETE']);
    expect((await found()).map((one) => one.mark.reason)).toEqual(['dropped-from-selection']);
  });

  it('loses what a replacement that was cut short has left', async () => {
    await attach({ markedAt: '2026-05-30T00:00:00+00:00' });
    const kept = await attach({ markedAt: '2026-05-31T00:00:00+00:00' });
    expect(await set(mark())).toBe(false);
    expect((await found()).map(({ referrer }) => referrer)).toEqual([kept]);
  });

  it('loses only what was planned to go: the mark that protects a restored tag stays', async () => {
    const kept = await attach({ state: 'restored', restored: { by: 'alice', reason: 'still needed' } });
    const late = await attach();
    expect(await set(null, { remove: [late] })).toBe(false);
    expect((await found()).map(({ referrer }) => referrer)).toEqual([kept]);
  });

  it('is left alone when somebody restored it', async () => {
    await attach({ state: 'restored', restored: { by: 'alice', reason: 'still needed' } });
    expect(await set(mark())).toBe(false);
    expect(world.registries.writes).toEqual([]);
  });

  it('is not marked on what it shows no more', async () => {
    mirror().tags.set('7.2.0', storeImage(mirror(), { salt: 'other' }));
    await expect(set(mark())).rejects.toMatchObject({ type: 'PreconditionFailed' });
    expect(world.registries.writes).toEqual([]);
  });
});

describe('a tag that is wanted', () => {
  it('loses its own mark, whatever it says, and no other tag’s', async () => {
    await attach({ state: 'restored', restored: { by: 'alice', reason: 'still needed' } });
    await attach();
    const theirs = await attach({ tag: 'latest' });
    expect(await set(null)).toBe(false);
    expect((await found()).map(({ referrer }) => referrer)).toEqual([theirs]);
    expect(world.journal).toMatchObject([{ event: 'mark.cleared', fields: { tag: '7.2.0', digest } }]);
  });

  it('clears a mark that names no tag from its image', async () => {
    await attach({ tag: null });
    await attach();
    await set(null, { tag: null });
    expect((await found()).map((one) => one.mark.tag)).toEqual(['7.2.0']);
  });

  it('is fine without a mark, and silent', async () => {
    expect(await set(null)).toBe(false);
    expect([...world.registries.writes, ...world.journal]).toEqual([]);
  });
});

describe('the memory of digests', () => {
  const facts = { stamp: null, stampsBeside: [], sbomFormats: [], signedFormats: null, marks: null };

  it('knows the marks that are there now', async () => {
    world.memory.rememberFacts(DESTINATION, digest, facts);
    await attach({ tag: 'latest' });
    await set(mark());
    expect(world.memory.facts(DESTINATION, digest)?.marks?.map((one) => one.mark.tag)).toEqual(['latest', '7.2.0']);
    await set(null);
    expect(world.memory.facts(DESTINATION, digest)?.marks?.map((one) => one.mark.tag)).toEqual(['latest']);
  });

  it('does not forget a mark that the registry keeps', async () => {
    world.memory.rememberFacts(DESTINATION, digest, facts);
    await attach();
    world.registries.deletes = false;
    await set(null);
    expect(world.memory.facts(DESTINATION, digest)?.marks).toHaveLength(1);
  });

  it('is not begun for a digest that nobody has looked at', async () => {
    await set(mark());
    expect(world.memory.facts(DESTINATION, digest)).toBeUndefined();
  });
});
