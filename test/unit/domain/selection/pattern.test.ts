import { describe, expect, it } from 'vitest';
import { HoubaError } from '../../../../domain/errors.js';
import { compilePattern } from '../../../../domain/selection/pattern.js';

function failureOf(source: string): HoubaError {
  try {
    compilePattern(source);
  } catch (error) {
    if (error instanceof HoubaError) return error;
  }
  throw new Error(`${source} compiled`);
}

describe('a pattern', () => {
  it('searches, and is not anchored', () => {
    expect(compilePattern('alpine').matches('7.2.5-alpine3')).toBe(true);
    expect(compilePattern('^alpine').matches('7.2.5-alpine3')).toBe(false);
  });

  it.each(['^(?P<a>\\d+)(?P<b>-x)?$', '^(?<a>\\d+)(?<b>-x)?$'])(
    'has the named groups of %s that took part',
    (source) => {
      expect([...(compilePattern(source).groups('7') ?? [])]).toEqual([['a', '7']]);
      expect([...(compilePattern(source).groups('7-x') ?? [])]).toEqual([
        ['a', '7'],
        ['b', '-x'],
      ]);
      expect(compilePattern(source).groups('x')).toBeNull();
    },
  );

  it('tells where its first match ends', () => {
    expect(compilePattern('7\\.2').endOfMatch('v7.2.5')).toBe(4);
    expect(compilePattern('8').endOfMatch('v7.2.5')).toBe(-1);
  });

  it.each([
    ['(?=a)', 'lookaround'],
    ['(?!a)', 'lookaround'],
    ['(?<=a)b', 'lookaround'],
    ['(?<!a)b', 'lookaround'],
    ['(a)\\1', 'back-references'],
    ['(?P<x>a)(?P=x)', 'back-references'],
    ['(?<x>a)\\k<x>', 'back-references'],
    ['7\\Z', '\\z'],
    ['[', 'RE2'],
    ['(', 'RE2'],
    ['a{1001}', 'RE2'],
    ['(?P<x>a)(?P<x>b)', 'RE2'],
  ])('refuses %s with a hint about %s', (source, hint) => {
    const failure = failureOf(source);
    expect(failure.code).toBe('PolicyInvalid');
    expect(failure.hint).toContain(hint);
  });

  it.each([
    ['^7\\.{,2}', 5, '{,2}'],
    ['a{,}', 2, '{,}'],
    ['^[[:digit:]]+$', 3, '[:digit:]'],
    ['[^a[:^alpha:]]', 4, '[:^alpha:]'],
    ['[]{,2}]a{,2}', 9, '{,2}'],
    ['[a[]x{,2}', 6, '{,2}'],
    ['[\\[]{,2}', 5, '{,2}'],
    ['[{x]{,2}', 5, '{,2}'],
    ['[{x]a{,2}}', 6, '{,2}'],
    ['a{1, 2}', 2, '{1, 2}'],
    ['\\d{ 2 }', 3, '{ 2 }'],
    ['v{major}', 2, '{major}'],
  ])('refuses %s, which engines read differently, and says where', (source, place, part) => {
    expect(failureOf(source)).toMatchObject({
      code: 'PolicyInvalid',
      message: expect.stringContaining(`at character ${place}, ${part} is`),
    });
  });

  it.each([
    ['[{,2}]', '{'],
    ['\\{,2\\}', '{,2}'],
    ['\\Q{,2}\\E', '{,2}'],
    ['[]x]', ']'],
    ['[^]x]', 'a'],
    ['[a[]x[:d]', 'ax:'],
    ['a{0,2}b', 'aab'],
    ['a{2}b{1,}', 'aabb'],
    ['\\p{Ll}\\x{41}', 'aA'],
  ])('takes %s for what it says', (source, text) => {
    expect(compilePattern(source).matches(text)).toBe(true);
  });

  it('refuses what is too long, and what multiplies to too much', () => {
    expect(compilePattern('a'.repeat(4000)).matches('a')).toBe(false);
    expect(failureOf('a'.repeat(4001)).message).toContain('longer than 4000');
    expect(failureOf('a{1000}'.repeat(10)).message).toContain('too large a program');
  });

  it('answers a pattern that stops backtracking engines at once', () => {
    expect(compilePattern('^(a+)+$').matches(`${'a'.repeat(10_000)}!`)).toBe(false);
  });

  it('is compiled once, and forgotten when there are too many', () => {
    expect(compilePattern('^once$')).toBe(compilePattern('^once$'));
    for (let count = 0; count < 600; count += 1) compilePattern(`^${count}$`);
    expect(compilePattern('^once$').matches('once')).toBe(true);
  });
});
