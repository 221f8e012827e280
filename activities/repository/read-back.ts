import { READ_BACK } from '../../domain/durable/retry.js';

/**
 * Repeats a read until it shows a write, with growing pauses. @returns the last answer, which may contradict it. @throws
 * the signal's reason when aborted
 */
export async function readBack<Answer>(
  read: () => Promise<Answer>,
  showsWrite: (answer: Answer) => boolean,
  patienceMs: number,
  signal: AbortSignal,
): Promise<Answer> {
  const until = performance.now() + patienceMs;
  for (let pauseMs: number = READ_BACK.firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, READ_BACK.longestPauseMs)) {
    const answer = await read();
    const leftMs = until - performance.now();
    if (showsWrite(answer) || leftMs <= 0) return answer;
    await pause(Math.min(pauseMs, leftMs), signal);
  }
}

/** Not that of the activity SDK: `attach` reads back without an activity. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const giveUp = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', giveUp);
      resolve();
    }, ms);
    signal.addEventListener('abort', giveUp, { once: true });
  });
}
