import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Resource } from '../../../../domain/transform/step.js';
import { type ResolvedStep, transformVersion } from '../../../../domain/transform/version.js';

function resource(kind: Resource['kind'], name: string, more: Partial<Resource>): Resource {
  return { apk: null, apt: null, content: null, filename: null, kind, name, ...more };
}

const mirrored: ResolvedStep = {
  name: 'rewritePackageSources',
  params: { mirror: 'corp' },
  resources: [resource('packageMirror', 'corp', { apt: 'https://mirror.corp' })],
};
const injected: ResolvedStep = {
  name: 'injectCA',
  params: { certs: ['corp'] },
  resources: [resource('caCert', 'corp', { content: 'PEMDATA', filename: 'corp.crt' })],
};

describe('the version of a transform', () => {
  it('keeps the published form', () => {
    const timezone = [{ name: 'setTimezone', params: { zone: 'Europe/Paris' }, resources: [] }];
    expect(transformVersion(timezone)).toBe('sha256:7a56a9650ad282167202e76a8f83d8d1758250dd43e85e7abb255613a6cbd103');
    expect(transformVersion([mirrored, injected])).toBe(
      'sha256:dddd88b9c59cffb3930fb176c0a5f1ec3253a350ab559f2b1e948ffa6573b7f3',
    );
  });

  it('is the hash of sorted keys without spaces, in ASCII alone', () => {
    const steps = [{ name: 'x', params: { b: 'é\n"\u{1f512}', a: [1, null, { d: true, c: '' }] }, resources: [] }];
    const text = '[["x",{"a":[1,null,{"c":"","d":true}],"b":"\\u00e9\\n\\"\\ud83d\\udd12"},[]]]';
    expect(transformVersion(steps)).toBe(`sha256:${createHash('sha256').update(text).digest('hex')}`);
  });

  it('does not know the order in which keys were written, and knows everything else', () => {
    const name = fc.constantFrom('injectCA', 'setTimezone');
    const text = fc.string({ unit: 'binary' });
    const params = fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.oneof(text, fc.array(text)));
    const found = fc.record({
      kind: fc.constantFrom('caCert' as const, 'packageMirror' as const),
      name: text,
      filename: fc.option(text),
      content: fc.option(text),
      apt: fc.option(text),
      apk: fc.option(text),
    });
    const steps = fc.array(fc.record({ name, params, resources: fc.array(found) }), { maxLength: 3 });
    fc.assert(
      fc.property(steps, steps, (one, other) => {
        expect(transformVersion(reversedKeys(one) as ResolvedStep[])).toBe(transformVersion(one));
        const same = JSON.stringify(sortedKeys(one)) === JSON.stringify(sortedKeys(other));
        expect(transformVersion(one) === transformVersion(other)).toBe(same);
      }),
    );
  });
});

function rebuilt(value: unknown, order: (keys: string[]) => string[]): unknown {
  if (Array.isArray(value)) return value.map((part) => rebuilt(part, order));
  if (typeof value !== 'object' || value === null) return value;
  const record = value as Record<string, unknown>;
  return Object.fromEntries(order(Object.keys(record)).map((key) => [key, rebuilt(record[key], order)]));
}

function reversedKeys(value: unknown): unknown {
  return rebuilt(value, (keys) => keys.reverse());
}

function sortedKeys(value: unknown): unknown {
  return rebuilt(value, (keys) => keys.sort());
}
