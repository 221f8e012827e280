import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningRegistry, startOlareg } from '../support/registries.js';
import { createHouba, type Houba, type RegctlReader, regctlReader } from '../support/stack.js';
import { image, index, packageOf, push, type TestImage } from '../support/upstream-images.js';

const WINDOWS = { os: 'windows', architecture: 'amd64' };

let upstream: RunningRegistry;
let registry: RunningRegistry;
let houba: Houba;
let regctl: RegctlReader;

beforeAll(async () => {
  upstream = await startOlareg({ inMemory: true });
  registry = await startOlareg();
  houba = await createHouba({
    up: { host: upstream.host, tls_verify: false },
    main: { host: registry.host, tls_verify: false },
  });
  regctl = regctlReader(houba.folder, [registry.host]);
  await houba.up();
});
afterAll(async () => {
  await houba?.dispose();
  await registry?.stop();
  await upstream?.stop();
});

async function bringIn(name: string, brought: TestImage): Promise<void> {
  await push(upstream.host, name, ['1.0.0'], brought);
  const dir = houba.policies({ name, from: `${upstream.host}/${name}`, to: [`main:demo/${name}`] });
  const { report } = await houba.reconcile(dir);
  expect(report.totals).toMatchObject({ imported: 1, failed: 0 });
}

async function inventoriesOf(name: string, reference: string): Promise<string[]> {
  const repository = `${registry.host}/demo/${name}`;
  const found = await regctl.artifacts(`${repository}${reference}`);
  return Promise.all(found.map(({ digest }) => regctl('artifact', 'get', `${repository}@${digest}`)));
}

describe('an inventory describes the bytes it is attached to', () => {
  it('also when another image came before with the same configuration and other layers', async () => {
    const honest = image('honest');
    // Whoever controls one source could so decide what is written about the images of another.
    await bringIn('poison', image('poison', { config: honest.blobs[0] as Buffer }));
    await bringIn('honest', honest);
    const [document = ''] = await inventoriesOf('honest', ':1.0.0');
    expect(document).toContain(packageOf('honest'));
    expect(document).not.toContain(packageOf('poison'));
  });

  it('also for two children of an index that have the same platform', async () => {
    const children = [image('server 2019', { platform: WINDOWS }), image('server 2022', { platform: WINDOWS })];
    await bringIn('servers', index(children));
    for (const child of children) {
      const [document = '', ...others] = await inventoriesOf('servers', `@${child.digest}`);
      expect(others).toEqual([]);
      expect(document).toContain(packageOf(child.text ?? ''));
    }
    const onTag = (await inventoriesOf('servers', ':1.0.0')).join('\n');
    for (const child of children) expect(onTag).toContain(packageOf(child.text ?? ''));
  });
});
