import { describe, expect, it } from 'vitest';
import { progressText } from '../../../../client/cli/progress.js';

const none = { done: 0, total: 0 };

describe('the progress of a run', () => {
  it('starts without knowing how much there is', () => {
    expect(progressText({ phase: 'opening', policies: { ...none, current: [] }, placements: none }, 400)).toBe(
      'opening  0/? policies  0:00',
    );
  });

  it('tells policies, placements, elapsed time, what is left and what is worked on', () => {
    const policies = { done: 2, total: 4, current: ['redis', 'ng\u0007inx'] };
    expect(progressText({ phase: 'reconciling', policies, placements: { done: 5, total: 10 } }, 90_000)).toBe(
      'reconciling  2/4 policies  5/10 placements  1:30  about 0:30 left\n  redis, ng\\x07inx',
    );
  });

  it('does not guess what is left before a tenth is done', () => {
    const policies = { done: 0, total: 100, current: ['a'] };
    expect(progressText({ phase: 'reconciling', policies, placements: none }, 3_661_000)).toBe(
      'reconciling  0/100 policies  1:01:01\n  a',
    );
  });
});
