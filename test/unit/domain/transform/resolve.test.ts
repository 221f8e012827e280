import { describe, expect, it } from 'vitest';
import { digestOf } from '../../../../domain/digest.js';
import { planTransform, refuseSteps } from '../../../../domain/transform/resolve.js';
import { PLAIN } from './certificates.js';
import { resourcesOf } from './images.js';

const resources = resourcesOf({ corp: PLAIN.pem, bad: 'nothing' }, { inside: { apt: 'https://mirror.corp' } });
const injectCA = (...certs: string[]) => ({ name: 'injectCA', params: { certs } });
const setTimezone = (zone: string) => ({ name: 'setTimezone', params: { zone } });
const mirrored = { name: 'rewritePackageSources', params: { mirror: 'inside' } };

describe('planning a transform', () => {
  it('says the steps as they are written, their version, and the certificates by digest', () => {
    const steps = [injectCA('corp', 'corp'), mirrored, setTimezone('Europe/Rome')];
    expect(planTransform(steps, resources)).toEqual({
      steps,
      version: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
      resources: [{ name: 'corp', digest: digestOf(new TextEncoder().encode(PLAIN.pem)) }],
    });
  });

  it('has another version for another order, parameter, certificate text or address', () => {
    const versions = [
      planTransform([injectCA('corp'), mirrored], resources),
      planTransform([mirrored, injectCA('corp')], resources),
      planTransform([injectCA('corp', 'corp'), mirrored], resources),
      planTransform(
        [injectCA('corp'), mirrored],
        resourcesOf({ corp: `# new\n${PLAIN.pem}` }, { inside: { apt: 'https://mirror.corp' } }),
      ),
      planTransform(
        [injectCA('corp'), mirrored],
        resourcesOf({ corp: PLAIN.pem }, { inside: { apt: 'http://mirror.corp' } }),
      ),
    ].map(({ version }) => version);
    expect(new Set(versions).size).toBe(5);
  });

  it('refuses a certificate that is none', () => {
    expect(() => planTransform([injectCA('bad')], resources)).toThrow('bad holds no certificate in PEM form');
  });
});

describe('refusing steps', () => {
  it('lets those be that are right, whatever the configuration has', () => {
    expect(() => refuseSteps([injectCA('any'), mirrored, setTimezone('UTC')])).not.toThrow();
  });

  it.each<[string, { name: string; params: Record<string, unknown> }, string, string | undefined]>([
    [
      'a step that does not exist',
      { name: 'enableFips', params: {} },
      'there is no transform step "enableFips"',
      'there are: injectCA, rewritePackageSources, setTimezone',
    ],
    [
      'a misspelt step',
      { name: 'setTimeZone', params: {} },
      'there is no transform step "setTimeZone"',
      'did you mean setTimezone?',
    ],
    [
      'certs that are no list',
      { name: 'injectCA', params: { certs: 'corp' } },
      'transform step injectCA: certs: "corp" must be a list of names',
      undefined,
    ],
    [
      'an empty list',
      { name: 'injectCA', params: { certs: [] } },
      'transform step injectCA: certs: must name at least one certificate',
      undefined,
    ],
    [
      'a name that is no file name',
      { name: 'injectCA', params: { certs: ['corp', '../x'] } },
      'transform step injectCA: certs.1: "../x" is not a name: letters, digits, . _ and -, at most 100',
      undefined,
    ],
    [
      'a missing zone',
      { name: 'setTimezone', params: {} },
      'transform step setTimezone: the required parameter "zone" is missing',
      undefined,
    ],
    [
      'a zone that would be a command',
      { name: 'setTimezone', params: { zone: 'UTC; id' } },
      'transform step setTimezone: zone: "UTC; id" is not a time zone such as Europe/Rome',
      undefined,
    ],
    [
      'a zone that is no text',
      { name: 'setTimezone', params: { zone: 1 } },
      'transform step setTimezone: zone: must be text',
      undefined,
    ],
    [
      'a misspelt parameter, with the one that is missing',
      { name: 'rewritePackageSources', params: { miror: 'inside' } },
      'transform step rewritePackageSources: the required parameter "mirror" is missing; ' +
        'unknown parameter "miror"; did you mean mirror?',
      undefined,
    ],
    [
      'a parameter of nowhere',
      { name: 'injectCA', params: { certs: ['a'], whatever: true } },
      'transform step injectCA: unknown parameter "whatever"; did you mean certs?',
      undefined,
    ],
  ])('names %s', (_what, step, message, hint) => {
    expect(() => refuseSteps([setTimezone('UTC'), step])).toThrow(
      expect.objectContaining({ code: 'PolicyInvalid', message, hint }),
    );
  });
});
