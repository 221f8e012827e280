import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTransformResources } from '../../../config/transform-resources.js';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'houba-resources-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const open = (caCerts: Record<string, { path: string } | { pem: string }>, packageMirrors = {}) =>
  openTransformResources({ caCerts, packageMirrors });

describe('what transform steps find by name', () => {
  it('is a text that stands in the variable', () => {
    expect(open({ corp: { pem: 'TEXT' } }).caCert('corp')).toBe('TEXT');
  });

  it('is what a file holds now', () => {
    const path = join(folder, 'corp.pem');
    writeFileSync(path, 'old');
    const resources = open({ corp: { path } });
    expect(resources.caCert('corp')).toBe('old');
    writeFileSync(path, 'new');
    expect(resources.caCert('corp')).toBe('new');
  });

  it('is a mirror', () => {
    const mirror = { apt: 'https://mirror.corp', apk: null };
    expect(open({}, { inside: mirror }).packageMirror('inside')).toEqual(mirror);
  });

  it('names the variable and the file that cannot be read', () => {
    const path = join(folder, 'gone.pem');
    expect(() => open({ corp: { path } }).caCert('corp')).toThrow(
      expect.objectContaining({
        code: 'ConfigInvalid',
        message: `HOUBA_TRANSFORM_CA_CERTS: corp: ${path} cannot be read (ENOENT)`,
      }),
    );
  });

  it.each([
    ['corpp', { corp: { pem: '' } }, 'HOUBA_TRANSFORM_CA_CERTS has no "corpp"; it has: corp', 'did you mean corp?'],
    ['toString', {}, 'HOUBA_TRANSFORM_CA_CERTS has no "toString"; it has: none', 'add it, or correct the policy'],
  ])('names what is there beside an unknown %s', (name, certs, message, hint) => {
    expect(() => open(certs).caCert(name)).toThrow(expect.objectContaining({ code: 'ConfigInvalid', message, hint }));
  });

  it('names the mirrors beside an unknown one', () => {
    expect(() => open({}, { inside: { apt: 'https://m', apk: null } }).packageMirror('insid')).toThrow(
      'HOUBA_TRANSFORM_PACKAGE_MIRRORS has no "insid"; it has: inside',
    );
  });
});
