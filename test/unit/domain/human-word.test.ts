import { describe, expect, it } from 'vitest';
import { wordProblem } from '../../../domain/human-word.js';

describe('a person’s decision', () => {
  it('names somebody and a reason that fit into an annotation', () => {
    expect(wordProblem({ by: 'a'.repeat(200), reason: 'r'.repeat(1_000) })).toBeNull();
  });

  it.each([
    ['without a name', { by: ' ', reason: 'why' }],
    ['without a reason', { by: 'eve', reason: '' }],
    ['with too long a name', { by: 'a'.repeat(201), reason: 'why' }],
    ['with too long a reason', { by: 'eve', reason: 'r'.repeat(1_001) }],
    ['that is no text', { by: 7 as unknown as string, reason: 'why' }],
  ])('%s is refused', (_, word) => {
    expect(wordProblem(word)).toMatch(/200 .* 1000 characters/);
  });
});
