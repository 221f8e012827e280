import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { step } from '../../../activities/step.js';
import { isRetried, LIFE_SIGNS } from '../../../domain/durable/retry.js';
import { type ErrorCode, EXIT_CODES, HoubaError } from '../../../domain/errors.js';
import { activityEnvironment, run } from '../../support/activity-world.js';

async function failureOf(error: unknown, attempt = 1): Promise<ApplicationFailure> {
  const failing = step(async () => {
    throw error;
  });
  const failure = await run(failing, undefined, activityEnvironment({ attempt })).catch((thrown) => thrown);
  expect(failure).toBeInstanceOf(ApplicationFailure);
  return failure;
}

describe('an error in a step', () => {
  it.each(Object.keys(EXIT_CODES) as ErrorCode[])('%s becomes a failure of its code', async (code) => {
    const failure = await failureOf(new HoubaError(code, 'what and where', { facts: { status: 404 } }));
    expect(failure).toMatchObject({ type: code, message: 'what and where', nonRetryable: !isRetried(code) });
    expect(failure.details).toEqual([{ status: 404 }]);
  });

  it('keeps its hint', async () => {
    const failure = await failureOf(new HoubaError('NotFound', 'no such tag', { hint: 'look upstream' }));
    expect(failure.message).toBe('no such tag (look upstream)');
  });

  it('is tried again when the other side asked for it', async () => {
    const failure = await failureOf(new HoubaError('RateLimited', 'slow down', { retryAfterMs: 90_000 }));
    expect(failure.nextRetryDelay).toBe(90_000);
    expect((await failureOf(new HoubaError('RateLimited', 'slow down'))).nextRetryDelay).toBeUndefined();
  });

  it.each([
    ['RegistryUnavailable', 3, false],
    ['RegistryUnavailable', 4, true],
    ['ToolFailed', 4, true],
    ['Internal', 4, true],
    ['RateLimited', 40, false],
    ['Interrupted', 40, false],
  ] as const)('%s at attempt %d is final: %s', async (code, attempt, final) => {
    expect((await failureOf(new HoubaError(code, 'again'), attempt)).nonRetryable).toBe(final);
  });

  it('that nobody knows is internal', async () => {
    expect(await failureOf(new TypeError('x is undefined'))).toMatchObject({
      type: 'Internal',
      message: 'x is undefined',
      nonRetryable: false,
    });
    expect(await failureOf('text')).toMatchObject({ type: 'Internal', message: 'text' });
  });

  it('that is a failure already is left alone', async () => {
    const original = ApplicationFailure.create({ type: 'Whatever', message: 'as it is' });
    expect(await failureOf(original)).toBe(original);
  });
});

describe('a heartbeat', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  async function beatsOf(heartbeatTimeoutMs: number | undefined, afterMs: number): Promise<unknown[]> {
    const beats: unknown[] = [];
    const environment = activityEnvironment({ heartbeatTimeoutMs });
    environment.on('heartbeat', (details) => beats.push(details));
    const waiting = step(async (_: undefined, { progress }) => {
      progress({ looked: 7 });
      await new Promise((resolve) => setTimeout(resolve, afterMs));
    });
    const done = run(waiting, undefined, environment);
    await vi.advanceTimersByTimeAsync(afterMs);
    await done;
    await vi.advanceTimersByTimeAsync(10 * afterMs);
    return beats;
  }

  it('comes at once and then often enough, with the progress, until the step ends', async () => {
    expect(await beatsOf(undefined, 2 * LIFE_SIGNS.beatMs + 1)).toEqual([undefined, { looked: 7 }, { looked: 7 }]);
  });

  it('comes at least every third of the heartbeat timeout', async () => {
    expect(await beatsOf(3_000, 2_001)).toHaveLength(3);
  });
});

describe('a cancellation', () => {
  it('reaches the step through its signal, and ends it cancelled whatever it throws', async () => {
    const environment = activityEnvironment();
    const waiting = step(
      (_: undefined, { signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(new HoubaError('ToolFailed', 'killed')));
        }),
    );
    const done = run(waiting, undefined, environment);
    environment.cancel();
    await expect(done).rejects.toBeInstanceOf(CancelledFailure);
  });
});
