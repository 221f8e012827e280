import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Checkout, Machine, PLATFORM, ReleaseServer } from './checkout.js';

const SUM = '54a87372498168b2d033e876fd41fa4e8035b872699e525a57046e1f2f09c860';
const RELEASE = '/repos/acme/one/releases/tags/v1.2.3';

let machine: Machine;
let server: ReleaseServer;
let api = '';
let here: Checkout;
beforeEach(async () => {
  machine = new Machine();
  server = new ReleaseServer();
  api = await server.start();
  here = machine.checkout('here');
});
afterEach(async () => {
  await server.stop();
  machine.remove();
});

function pinned(sum: string | null, megabytes: number) {
  const path = 'acme/one/releases/download/v{version}/one-{os}-{arch}';
  return { version: '1.2.3', versionArgs: ['--version'], release: { path, megabytes, sha256: { [PLATFORM]: sum } } };
}

function publish(...assets: readonly object[]): void {
  server.serve(RELEASE, Buffer.from(JSON.stringify({ assets })));
}

const asset = { name: `one-${PLATFORM}`, size: 12_345_678, digest: `sha256:${SUM}` };

describe('pin.mjs', () => {
  it.each([null, SUM.replace('5', '6')])('writes the published SHA-256 over %s, and says so', async (before) => {
    here.pin({ one: pinned(before, 1) });
    publish({ name: `one-${PLATFORM}.sig` }, asset);
    const { code, stdout } = await here.run('pin.mjs', ['one'], { HOUBA_TOOLS_API: api });
    expect({ code, stdout }).toEqual({ code: 0, stdout: `one ${PLATFORM}: ${before} → ${SUM}\n` });
    expect(JSON.parse(readFileSync(here.pins, 'utf8'))).toEqual({ one: pinned(SUM, 13) });
  });

  it('has nothing to say of a pin that is right', async () => {
    here.pin({ one: pinned(SUM, 13) });
    publish(asset);
    expect(await here.run('pin.mjs', [], { HOUBA_TOOLS_API: api })).toEqual({ code: 0, stdout: '', stderr: '' });
    expect(readFileSync(here.pins, 'utf8')).toContain('"versionArgs": ["--version"],\n');
  });

  it.each([
    ['publishes none', { ...asset, digest: null }],
    ['publishes another kind of sum', { ...asset, digest: `sha512:${SUM}` }],
    ['has no such file', { ...asset, name: 'one-plan9-mips' }],
  ])('leaves the pins alone when the release %s', async (_, published) => {
    here.pin({ one: pinned(null, 1) });
    const before = readFileSync(here.pins, 'utf8');
    publish(published);
    const { code, stderr } = await here.run('pin.mjs', [], { HOUBA_TOOLS_API: api });
    expect(code).toBe(1);
    expect(stderr).toContain(`acme/one v1.2.3 publishes no SHA-256 of one-${PLATFORM}`);
    expect(readFileSync(here.pins, 'utf8')).toBe(before);
  });
});
