import type { Digest } from '../digest.js';
import { formatInstant, parseInstant } from '../instant.js';
import { escapeControls } from '../text/escape.js';
import { namesIn } from '../text/json-names.js';
import type { MarkIdentity } from './mark.js';

/** The question to the usage oracle, as JSON (docs/oracles.md). */
export interface UsageQuestion {
  readonly digest: Digest;
  readonly image_ref: string;
  readonly identity: MarkIdentity;
  /** ISO 8601: the begin of the idle window. */
  readonly since: string;
}

/** `unknown` counts as in use (docs/rules/purge.md#unknown-use-is-in-use). */
export type UsageAnswer =
  | { readonly kind: 'seen'; readonly atMs: number; readonly detail: string }
  | { readonly kind: 'unseen'; readonly detail: string }
  | { readonly kind: 'unknown'; readonly detail: string };

const LONGEST_DETAIL = 500;

export function usageQuestion(
  digest: Digest,
  reference: string,
  identity: MarkIdentity,
  nowMs: number,
  windowMs: number,
): UsageQuestion {
  return { digest, image_ref: reference, identity, since: formatInstant(nowMs - windowMs) };
}

/** Parses the oracle's answer (docs/oracles.md); anything that is not exactly one is `unknown`. */
export function parseUsageAnswer(stdout: string, asked: Pick<UsageQuestion, 'digest' | 'image_ref'>): UsageAnswer {
  let answer: unknown;
  try {
    answer = JSON.parse(stdout);
  } catch {
    return unknownUse(stdout.trim() === '' ? 'it printed nothing' : 'it did not print JSON');
  }
  if (typeof answer !== 'object' || answer === null || Array.isArray(answer)) {
    return unknownUse('it did not print a JSON object');
  }
  if (!Object.hasOwn(answer, 'last_seen')) return unknownUse('its answer has no key last_seen');
  // JSON.parse keeps the last of two equal keys, other readers the first.
  const said = [...namesIn(stdout)].filter(({ name }) => name === 'last_seen');
  if (said.length > 1) return unknownUse('it has last_seen twice');
  for (const key of ['digest', 'image_ref'] as const) {
    const about = Object.hasOwn(answer, key) ? (answer as Record<string, unknown>)[key] : null;
    if (about !== null && about !== asked[key]) return unknownUse(`its answer is about another ${key}`);
  }
  const { last_seen: lastSeen, detail: told } = answer as { last_seen: unknown; detail?: unknown };
  const detail = typeof told === 'string' ? quote(told) : '';
  if (lastSeen === null) return { kind: 'unseen', detail };
  const atMs = typeof lastSeen === 'string' ? parseInstant(lastSeen) : null;
  if (atMs === null) return unknownUse(`its last_seen is no ISO 8601 time: ${JSON.stringify(lastSeen)}`);
  return { kind: 'seen', atMs, detail };
}

export function unknownUse(why: string): UsageAnswer {
  return { kind: 'unknown', detail: quote(why) };
}

/** Combines the answers about a tag's digests: one sighting is use (docs/rules/purge.md#any-sighting-protects). */
export function combineAnswers(answers: readonly UsageAnswer[]): UsageAnswer {
  let latest: UsageAnswer | null = null;
  for (const answer of answers) {
    if (answer.kind !== 'seen') continue;
    if (latest?.kind !== 'seen' || answer.atMs > latest.atMs) latest = answer;
  }
  if (latest !== null) return latest;
  return answers.find(({ kind }) => kind === 'unknown') ?? answers[0] ?? unknownUse('nothing was asked');
}

function quote(text: string): string {
  return escapeControls(text.length > LONGEST_DETAIL ? `${text.slice(0, LONGEST_DETAIL)}…` : text);
}
