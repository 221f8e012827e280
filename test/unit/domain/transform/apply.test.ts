import { describe, expect, it } from 'vitest';
import { applyTransform, wantedPaths } from '../../../../domain/transform/apply.js';
import { OTHER, PLAIN } from './certificates.js';
import { imageOf, resourcesOf, written } from './images.js';

const resources = resourcesOf({ corp: PLAIN.pem, other: OTHER.pem });
const injectCA = (...certs: string[]) => ({ name: 'injectCA', params: { certs } });
const setTimezone = (zone: string) => ({ name: 'setTimezone', params: { zone } });
const BUNDLE = '/etc/ssl/certs/ca-certificates.crt';

describe('applying a transform', () => {
  it('does the steps in their order, each upon what those before it made', () => {
    const [first, second, ...more] = applyTransform([injectCA('corp'), injectCA('other')], resources, imageOf({}));
    expect([first?.step, second?.step, more]).toEqual(['injectCA', 'injectCA', []]);
    expect(first && written(first.effect)[BUNDLE]).toBe(PLAIN.pem);
    expect(second && written(second.effect)[BUNDLE]).toBe(PLAIN.pem + OTHER.pem);
  });

  it('is refused as a whole when one step cannot do its work', () => {
    expect(() => applyTransform([injectCA('corp'), setTimezone('UTC')], resources, imageOf({}))).toThrow(
      'setTimezone: the image has no time zone file /usr/share/zoneinfo/UTC',
    );
  });

  it('refuses steps that are none', () => {
    expect(() => applyTransform([{ name: 'run', params: {} }], resources, imageOf({}))).toThrow(
      'no transform step "run"',
    );
  });
});

describe('the paths that steps want', () => {
  it('are those of all of them, sorted, each once', () => {
    const one = wantedPaths([injectCA('corp')]);
    const all = wantedPaths([setTimezone('UTC'), injectCA('corp'), injectCA('other')]);
    expect(all).toEqual([...new Set([...one, ...wantedPaths([injectCA('other')]), '/etc/timezone'])].sort());
  });
});
