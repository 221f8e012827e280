import { beforeEach, describe, expect, it } from 'vitest';
import type { Digest } from '../../../../domain/digest.js';
import { STAMP_ARTIFACT_TYPE } from '../../../../domain/stamp/keys.js';
import { type ActivityWorld, createWorld, run } from '../../../support/activity-world.js';
import { DESTINATION } from '../../../support/durable-samples.js';
import { storeImage, storeIndex } from '../../../support/memory-registries.js';

const SOURCE = { host: 'upstream.example', path: 'library/redis' };

let world: ActivityWorld;
let image: Digest;
let index: Digest;
beforeEach(() => {
  world = createWorld();
  image = storeImage(source(), {});
  index = storeIndex(source(), [{ digest: image, platform: 'linux/amd64' }]);
});

const source = () => world.registries.store(SOURCE);
const keep = () => run(world.steps.keepEvidence, { source: SOURCE, digest: index, destination: DESTINATION });

function attach(subject: Digest, artifactType: string, annotations: Readonly<Record<string, string>> = {}) {
  return world.registries.regctl.putArtifact(SOURCE, subject, { artifactType, annotations });
}

describe('upstream’s evidence', () => {
  it('comes with the original, by digest: what refers to it and to its platforms, and signature tags', async () => {
    const signature = await attach(index, 'application/vnd.dev.sigstore.bundle.v0.3+json');
    const sbom = await attach(image, 'application/spdx+json');
    const older = storeImage(source(), { salt: 'signature' });
    const tag = `${image.replace(':', '-')}.sig`;
    source().tags.set(tag, older);
    world.registries.writes.length = 0;
    await keep();
    const copy = (digest: Digest) => `COPY upstream.example/library/redis@${digest} registry.example/lib/redis`;
    expect(world.registries.writes).toEqual([
      ...[copy(index), `${copy(signature)} of ${index}`, `${copy(sbom)} of ${image}`, copy(older)],
      `PUT registry.example/lib/redis:${tag}`,
    ]);
    const kept = world.registries.store(DESTINATION);
    expect([...kept.manifests.keys()].sort()).toEqual([image, index, sbom, signature, older].sort());
    expect([...kept.tags]).toEqual([[tag, older]]);
    world.registries.writes.length = 0;
    await keep();
    expect(world.registries.writes).toEqual([copy(index)]);
  });

  it.each([
    ['a referrer', 'copyImage'],
    ['a signature tag', 'putManifest'],
  ] as const)('is not kept where the registry takes it and does not show it: %s', async (what, call) => {
    if (what === 'a referrer') await attach(index, 'application/spdx+json');
    else source().tags.set(`${image.replace(':', '-')}.sig`, storeImage(source(), { salt: 'signature' }));
    await keep().catch(() => undefined);
    world.registries.store(DESTINATION).tags.clear();
    for (const digest of world.registries.store(DESTINATION).manifests.keys()) {
      if (digest !== index && digest !== image) world.registries.store(DESTINATION).manifests.delete(digest);
    }
    world.registries.regctl[call] = (async () => index) as never;
    await expect(keep()).rejects.toMatchObject({ type: 'DigestMismatch' });
  });

  it('comes from a source that answers no HEAD, older signature tags too', async () => {
    const older = storeImage(source(), { salt: 'signature' });
    const tag = `${image.replace(':', '-')}.sig`;
    source().tags.set(tag, older);
    const { headManifest } = world.registries.reader;
    world.registries.reader.headManifest = async (repository, ...asked) =>
      repository.host === SOURCE.host ? null : headManifest(repository, ...asked);
    await keep();
    expect([...world.registries.store(DESTINATION).tags]).toEqual([[tag, older]]);
  });

  it('is only what refers to the image itself, whatever upstream lists', async () => {
    const other = storeImage(source(), { salt: 'other' });
    const elsewhere = await attach(other, 'application/spdx+json');
    const sbom = await attach(image, 'application/spdx+json');
    await attach(sbom, 'application/spdx+json', { of: 'the inventory' });
    source().tags.set(`${image.replace(':', '-')}.att`, elsewhere);
    source().tags.set(image.replace(':', '-'), elsewhere);
    const { reader } = world.registries;
    const list = reader.listReferrers;
    reader.listReferrers = async (repository, digest, ...asked) =>
      list(repository, digest === image && repository.host === SOURCE.host ? other : digest, ...asked);
    await keep();
    const kept = () => [...world.registries.store(DESTINATION).manifests.keys()].sort();
    expect(kept()).toEqual([image, index].sort());
    reader.listReferrers = list;
    await keep();
    expect(kept()).toEqual([image, index, sbom].sort());
    expect(world.registries.store(DESTINATION).tags.size).toBe(0);
  });

  it.each([
    ['an attestation', 'unknown/unknown', undefined],
    ['a platform that is not wanted', 'linux/arm64', ['linux/amd64']],
  ])('of the platforms is kept where %s is lost, for the original cannot be', async (_, platform, platforms) => {
    const gone = storeImage(source(), { salt: 'gone' });
    const digest = storeIndex(source(), [
      { digest: image, platform: 'linux/amd64' },
      { digest: gone, platform },
    ]);
    source().manifests.delete(gone);
    await attach(digest, 'application/vnd.dev.sigstore.bundle.v0.3+json');
    const sbom = await attach(image, 'application/spdx+json');
    const request = { source: SOURCE, digest, destination: DESTINATION, ...(platforms && { platforms }) };
    await run(world.steps.keepEvidence, request);
    expect([...world.registries.store(DESTINATION).manifests.keys()].sort()).toEqual([image, sbom].sort());
  });

  it('under a signature tag is looked at as well', async () => {
    const forged = await attach(image, 'application/spdx+json', { 'io.houba.sbom.platform': 'linux/amd64' });
    const { reader } = world.registries;
    const list = reader.listReferrers;
    reader.listReferrers = async (...asked) => (await list(...asked)).filter(({ digest }) => digest !== forged);
    source().tags.set(`${image.replace(':', '-')}.sbom`, forged);
    world.registries.writes.length = 0;
    await expect(keep()).rejects.toMatchObject({ type: 'PreconditionFailed' });
    expect(world.registries.writes).toEqual([]);
  });

  it.each([
    ['a stamp', STAMP_ARTIFACT_TYPE, {}],
    ['an inventory of ours', 'application/spdx+json', { 'io.houba.sbom.platform': 'linux/amd64' }],
  ])('that would pass for %s is not taken in, also on a platform’s manifest', async (_, artifactType, annotations) => {
    await attach(image, artifactType, annotations);
    world.registries.writes.length = 0;
    await expect(keep()).rejects.toMatchObject({
      type: 'PreconditionFailed',
      message: expect.stringContaining('would pass for evidence of ours'),
    });
    expect(world.registries.writes).toEqual([]);
  });

  it('may be gone upstream when the original is kept here', async () => {
    await keep();
    source().manifests.clear();
    world.registries.writes.length = 0;
    await keep();
    expect(world.registries.writes).toEqual([]);
  });

  it('of what nobody has is an error', async () => {
    source().manifests.clear();
    await expect(keep()).rejects.toMatchObject({ type: 'NotFound' });
  });
});
