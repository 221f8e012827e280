import { describe, expect, it } from 'vitest';
import { planSigning, type SigningSettings } from '../../../../domain/evidence/signing-config.js';

const AIR_GAPPED: SigningSettings = {
  signer: 'key',
  fulcioUrl: '',
  rekorUrl: '',
  tsaUrl: '',
  trustedRoot: '',
  builderId: '',
};
const OWN = {
  fulcioUrl: 'https://fulcio.example',
  rekorUrl: 'https://rekor.example',
  tsaUrl: 'https://tsa.example/api/v1/timestamp',
  trustedRoot: '/etc/houba/root.json',
};

const service = (url: string, operator = 'houba') => [
  { url, majorApiVersion: 1, validFor: { start: '1970-01-01T00:00:00Z' }, operator },
];
const plan = (settings: Partial<SigningSettings>) => planSigning({ ...AIR_GAPPED, ...settings });

describe('what cosign is told to sign with', () => {
  it.each(['key', 'kms'] as const)('with a %s and no address is nobody, and it believes nobody', (signer) => {
    expect(plan({ signer })).toEqual({
      config: {
        mediaType: 'application/vnd.dev.sigstore.signingconfig.v0.2+json',
        rekorTlogConfig: {},
        tsaConfig: {},
      },
      trustedRoot: 'none',
    });
  });

  it('are the services that are named, in the name of the builder', () => {
    expect(plan({ signer: 'keyless', ...OWN, builderId: 'https://b.example' })).toEqual({
      config: {
        mediaType: 'application/vnd.dev.sigstore.signingconfig.v0.2+json',
        caUrls: service('https://fulcio.example', 'https://b.example'),
        rekorTlogUrls: service('https://rekor.example', 'https://b.example'),
        rekorTlogConfig: { selector: 'ANY' },
        tsaUrls: service('https://tsa.example/api/v1/timestamp', 'https://b.example'),
        tsaConfig: { selector: 'ANY' },
      },
      trustedRoot: { path: '/etc/houba/root.json' },
    });
  });

  it('keyless without an address are the public services', () => {
    const { config, trustedRoot } = plan({ signer: 'keyless' });
    expect(config).toMatchObject({
      caUrls: service('https://fulcio.sigstore.dev'),
      rekorTlogUrls: service('https://rekor.sigstore.dev'),
    });
    expect(config).not.toHaveProperty('tsaUrls');
    expect(trustedRoot).toBe('public');
  });

  it('never tells the public log of what an own authority certified', () => {
    const { config } = plan({ ...OWN, signer: 'keyless', rekorUrl: '' });
    expect(config).not.toHaveProperty('rekorTlogUrls');
  });

  it('with a key may be a log or a clock alone', () => {
    expect(plan({ tsaUrl: OWN.tsaUrl, trustedRoot: '/root.json' })).toMatchObject({
      config: { tsaUrls: service(OWN.tsaUrl), rekorTlogConfig: {} },
      trustedRoot: { path: '/root.json' },
    });
  });

  it('needs no trusted root of its own for services of the public instance', () => {
    expect(plan({ rekorUrl: 'https://rekor.sigstore.dev' }).trustedRoot).toBe('public');
    expect(plan({ signer: 'keyless', tsaUrl: 'https://timestamp.sigstore.dev/api/v1/timestamp' }).trustedRoot).toBe(
      'public',
    );
  });
});

describe('settings that give no signature that anybody could verify are refused', () => {
  it.each<[string, Partial<SigningSettings>, RegExp]>([
    ['no signer', { signer: '' }, /HOUBA_ATTEST_SIGNER is empty/],
    ['an own authority without log and clock', { ...OWN, signer: 'keyless', rekorUrl: '', tsaUrl: '' }, /outlives/],
    [
      'own services without a trusted root',
      { ...OWN, signer: 'keyless', trustedRoot: '' },
      /HOUBA_ATTEST_TRUSTED_ROOT/,
    ],
    ['a look-alike of the public log', { rekorUrl: 'https://rekor.sigstore.dev.example' }, /HOUBA_ATTEST_TRUSTED_ROOT/],
    ['the public log in plain text', { rekorUrl: 'http://rekor.sigstore.dev' }, /HOUBA_ATTEST_TRUSTED_ROOT/],
  ])('%s', (_, settings, message) => {
    expect(() => plan(settings)).toThrow(expect.objectContaining({ code: 'ConfigInvalid' }));
    expect(() => plan(settings)).toThrow(message);
  });
});
