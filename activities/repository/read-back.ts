import { sleep } from '@temporalio/activity';

/** How long a read that contradicts a write is asked again, ms (docs/rules/registry-access.md#a-write-is-read-back). */
export const READ_BACK_MS = 60_000;

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 10_000;

/**
 * Reads what was just written until it shows the write, with growing pauses. A cancelled activity ends it.
 * @returns the last answer, which may still contradict the write
 */
export async function readBack<Answer>(
  read: () => Promise<Answer>,
  showsWrite: (answer: Answer) => boolean,
  patienceMs: number,
): Promise<Answer> {
  const until = Date.now() + patienceMs;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    const answer = await read();
    const leftMs = until - Date.now();
    if (showsWrite(answer) || leftMs <= 0) return answer;
    await sleep(Math.min(pauseMs, leftMs));
  }
}
