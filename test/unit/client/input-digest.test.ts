import { expect, it } from 'vitest';
import { inputDigest } from '../../../client/input-digest.js';

it('an input has one digest, whatever the order of its keys', () => {
  const digest = inputDigest({ a: [1, { b: 2, c: 3 }], d: null });
  expect(digest).toMatch(/^sha256:[0-9a-f]{64}$/);
  expect(inputDigest({ d: null, a: [1, { c: 3, b: 2 }] })).toBe(digest);
});

it('another input has another one: the order of a list counts, what is undefined does not', () => {
  const digest = inputDigest({ a: [1, 2] });
  expect(inputDigest({ a: [2, 1] })).not.toBe(digest);
  expect(inputDigest({ a: [1, 2], b: undefined })).toBe(digest);
});
