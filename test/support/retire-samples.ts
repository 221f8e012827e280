import type { Judgement, MarkedTag, RetireOrder } from '../../domain/durable/retire.js';
import { judgeUse } from '../../domain/lifecycle/retire.js';
import type { UsageAnswer } from '../../domain/lifecycle/usage.js';
import { DESTINATION, digestFor } from './durable-samples.js';

export const DAY = 86_400_000;
export const MARKED = digestFor('marked');

/** A tag with a mark; `path` sets its workflow id apart from other tests'. */
export function markedTag(path: string, tag: string, facts: Partial<MarkedTag> = {}): MarkedTag {
  return { destination: { ...DESTINATION, path }, tag, digest: MARKED, policy: 'redis', ...facts };
}

export function retireOrder(path: string, tag: string, facts: Partial<RetireOrder> = {}): RetireOrder {
  return { ...markedTag(path, tag), requireApproval: false, ...facts };
}

export function seenAt(atMs: number): UsageAnswer {
  return { kind: 'seen', atMs, detail: 'web-1' };
}

export const UNSEEN: UsageAnswer = { kind: 'unseen', detail: '' };
export const UNKNOWN: UsageAnswer = { kind: 'unknown', detail: 'it printed nothing' };

/** What a look at a marked tag comes to, with the rules of the product: its mark's age, then the oracle's word. */
export function judgementAt(
  nowMs: number,
  markedMs: number,
  windowMs: number,
  digest: MarkedTag['digest'],
  ask: () => UsageAnswer,
): Judgement {
  const untilMs = markedMs + windowMs;
  if (nowMs < untilMs) return { act: 'wait', why: 'mark', digest, untilMs, reason: 'its idle window is not over' };
  const { decision, reason, askAgainMs } = judgeUse(ask(), nowMs, windowMs);
  if (askAgainMs === null) return { act: 'delete', digest, reason, needsApproval: false };
  return { act: 'wait', why: decision === 'protect' ? 'seen' : 'unknown', digest, untilMs: askAgainMs, reason };
}
