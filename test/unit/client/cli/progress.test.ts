import { describe, expect, it } from 'vitest';
import { progressText, showProgress, sweepText } from '../../../../client/cli/progress.js';
import { limitsIn, sumLimits } from '../../../../client/follow.js';

const none = { done: 0, total: 0 };

describe('the progress of a run', () => {
  it('starts without knowing how much there is', () => {
    expect(
      progressText({ phase: 'opening', policies: { ...none, current: [] }, placements: none, limits: [] }, 400),
    ).toBe('opening  0/? policies  0:00');
  });

  it('tells policies, placements, elapsed time, what is left and what is worked on', () => {
    const policies = { done: 2, total: 4, current: ['redis', 'ng\u0007inx'] };
    expect(
      progressText({ phase: 'reconciling', policies, placements: { done: 5, total: 10 }, limits: [] }, 90_000),
    ).toBe('reconciling  2/4 policies  5/10 placements  1:30  about 0:30 left\n  redis, ng\\x07inx');
  });

  it('does not guess what is left before a tenth is done', () => {
    const policies = { done: 0, total: 100, current: ['a'] };
    expect(progressText({ phase: 'reconciling', policies, placements: none, limits: [] }, 3_661_000)).toBe(
      'reconciling  0/100 policies  1:01:01\n  a',
    );
  });

  it('tells what limits it, and until when', () => {
    const limits = [
      { registry: 'docker.io', until: '2026-03-02T05:00:11.000Z', steps: 3 },
      { registry: null, until: null, steps: 1 },
    ];
    const policies = { done: 0, total: 1, current: ['redis'] };
    expect(
      progressText({ phase: 'reconciling', policies, placements: none, limits }, 1000).split('\n').slice(1),
    ).toEqual([
      '  redis',
      '  waits until 2026-03-02T05:00:11.000Z: docker.io limits requests (3 steps)',
      '  waits: a registry limits requests (1 step)',
    ]);
  });
});

it('the progress of a sweep tells what is done, what is worked on, and what limits it', () => {
  const limits = [{ registry: 'r.example', until: '2026-03-02T05:00:11.000Z', steps: 1 }];
  expect(sweepText({ phase: 'auditing', done: 12, current: ['r.example/a', 'r.example/b'], limits }, 61_000)).toBe(
    [
      'auditing  12 done  1:01',
      'r.example/a, r.example/b',
      'waits until 2026-03-02T05:00:11.000Z: r.example limits requests (1 step)',
    ].join('\n  '),
  );
});

describe('the limits of a run', () => {
  const failed = (type: string, message: string) => ({ message, applicationFailureInfo: { type } });

  it('are read from steps that wait after a rate limit, and added up by registry', () => {
    const pending = [
      {
        lastFailure: failed('RateLimited', 'docker.io limits requests for another 3600 s'),
        scheduledTime: { seconds: 60 },
      },
      { lastFailure: failed('RateLimited', 'docker.io answered 429 to GET /v2/'), scheduledTime: { seconds: 120 } },
      { lastFailure: failed('RegistryUnavailable', 'quay.io answered 500'), scheduledTime: { seconds: 60 } },
      { lastFailure: null },
      {
        lastFailure: failed('RateLimited', 'ghcr.io answered 429 to GET /v2/'),
        scheduledTime: { seconds: 9 },
        state: 2,
      },
      { lastFailure: failed('RateLimited', 'slow down') },
    ];
    expect(sumLimits(limitsIn(pending as never))).toEqual([
      { registry: 'docker.io', until: '1970-01-01T00:02:00.000Z', steps: 2 },
      { registry: null, until: null, steps: 1 },
    ]);
    expect(limitsIn(null)).toEqual([]);
  });
});

it('on a pipe, each wait is told once, and Temporal is asked less often than for a terminal', async () => {
  const limits = [{ registry: 'r.example', until: '2026-03-02T05:00:11.000Z', steps: 1 }];
  const lines: string[] = [];
  const stream = { isTTY: false, write: (line: string) => lines.push(line) };
  let asked: { readonly signal: AbortSignal; readonly everyMs?: number } | undefined;
  const stop = await showProgress<{ readonly limits: typeof limits }>(
    async (onProgress, options) => {
      asked = options;
      for (let look = 0; look < 3; look++) onProgress({ limits });
    },
    () => 'not shown',
    stream as unknown as NodeJS.WriteStream,
  );
  expect(lines).toEqual(['waits until 2026-03-02T05:00:11.000Z: r.example limits requests (1 step)\n']);
  expect(asked?.everyMs).toBe(2_000);
  stop();
  expect(asked?.signal.aborted).toBe(true);
});
