import { describe, expect, it } from 'vitest';
import { LIFE_SIGNS, READ_BACK, STEP_TIMES } from '../../../../domain/durable/retry.js';

describe('the times of the steps', () => {
  it('let a step that moves a tag read it back for as long as it may', () => {
    expect(1.5 * READ_BACK.patienceMs).toBeLessThan(STEP_TIMES.move.attemptMs);
  });

  it('bear the loss of two heartbeats', () => {
    expect(3 * LIFE_SIGNS.beatMs).toBeLessThan(LIFE_SIGNS.silenceMs);
  });

  it.each(Object.entries(STEP_TIMES))('of %s leave room for another attempt', (_, { attemptMs, wholeMs }) => {
    expect(2 * attemptMs).toBeLessThanOrEqual(wholeMs);
  });
});
