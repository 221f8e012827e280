import { describe, expect, it } from 'vitest';
import { copyImage } from '../../../../activities/place/copy-image.js';
import { repositoryAt } from '../../../../activities/repository/repository-at.js';
import { HoubaError } from '../../../../domain/errors.js';
import { createWorld } from '../../../support/activity-world.js';
import { storeImage, storeIndex } from '../../../support/memory-registries.js';

const SOURCE = { host: 'source.example', path: 'lib/app' };
const DESTINATION = { host: 'main.example', path: 'demo/app' };
const signal = AbortSignal.timeout(60_000);

function worldWhereCopiesFail(error: HoubaError) {
  const { registries, settings } = createWorld();
  const regctl = { ...registries.regctl, copyImage: () => Promise.reject(error) };
  const from = repositoryAt({ reader: registries.reader, settings }, SOURCE, signal);
  return { registries, from, deps: { regctl } };
}

describe('an image that regctl does not copy', () => {
  it('is copied by its parts, each before what names it', async () => {
    const {
      deps,
      from: source,
      registries,
    } = worldWhereCopiesFail(new HoubaError('Unsupported', 'unsupported media type: ""'));
    const from = registries.store(SOURCE);
    const children = ['amd64', 'arm64'].map((architecture) => ({
      digest: storeImage(from, { salt: architecture }),
      platform: `linux/${architecture}`,
    }));
    const index = storeIndex(from, children);
    await copyImage(deps, source, index, DESTINATION);
    const to = registries.store(DESTINATION);
    expect([...to.manifests.keys()]).toEqual([...children.map(({ digest }) => digest), index]);
    expect(to.manifests).toEqual(from.manifests);
    expect(to.blobs).toEqual(from.blobs);
  });

  it('is copied once where its index names it twice', async () => {
    const { deps, from, registries } = worldWhereCopiesFail(new HoubaError('Unsupported', 'unsupported media type'));
    const child = { digest: storeImage(registries.store(SOURCE), {}), platform: 'linux/amd64' };
    const index = storeIndex(registries.store(SOURCE), [child, child]);
    await copyImage(deps, from, index, DESTINATION);
    expect(registries.writes.filter((call) => call.startsWith('PUT'))).toHaveLength(2);
  });

  it('is not touched after another failure', async () => {
    const { deps, from: source, registries } = worldWhereCopiesFail(new HoubaError('Denied', 'no'));
    const image = storeImage(registries.store(SOURCE), {});
    await expect(copyImage(deps, source, image, DESTINATION)).rejects.toMatchObject({ code: 'Denied' });
    expect(registries.writes).toEqual([]);
  });
});
