import { sleep } from '@temporalio/activity';
import { READ_BACK } from '../../domain/durable/retry.js';

/** Repeats a read until it shows a write, with growing pauses. @returns the last answer, which may contradict it */
export async function readBack<Answer>(
  read: () => Promise<Answer>,
  showsWrite: (answer: Answer) => boolean,
  patienceMs: number,
): Promise<Answer> {
  const until = performance.now() + patienceMs;
  for (let pauseMs: number = READ_BACK.firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, READ_BACK.longestPauseMs)) {
    const answer = await read();
    const leftMs = until - performance.now();
    if (showsWrite(answer) || leftMs <= 0) return answer;
    await sleep(Math.min(pauseMs, leftMs));
  }
}
