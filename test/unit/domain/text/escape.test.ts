import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { shortLine } from '../../../../domain/text/escape.js';

describe('a short line', () => {
  it.each([
    [' grype\n', 'grype'],
    ['a\tb\u0000c', 'a\\x09b\\x00c'],
    ['a\u2028b\u202ec\ufeff', 'a\\u{2028}b\\u{202e}c'],
    ['half \ud83d and \udc00', 'half \ufffd and \ufffd'],
    ['a'.repeat(20), 'a'.repeat(20)],
    ['a'.repeat(21), `${'a'.repeat(19)}…`],
    ['😀'.repeat(20), '😀'.repeat(20)],
    ['😀'.repeat(21), `${'😀'.repeat(19)}…`],
  ])('of %j is %j', (text, line) => {
    expect(shortLine(text, 20)).toBe(line);
  });

  it('never holds more, nor a control character, nor half a character', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 100 }), fc.integer({ min: 1, max: 30 }), (text, longest) => {
        const line = shortLine(text, longest);
        expect([...line].length).toBeLessThanOrEqual(longest);
        expect(line).not.toMatch(/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]/u);
      }),
    );
  });
});
