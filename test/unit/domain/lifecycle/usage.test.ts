import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  combineAnswers,
  parseUsageAnswer,
  type UsageAnswer,
  usageQuestion,
} from '../../../../domain/lifecycle/usage.js';
import { DAY, digest, NOW } from './samples.js';

describe('the question', () => {
  it('says digest, reference, identity, and where the idle window begins', () => {
    const identity = { policy: 'redis', import: 'v7', variant: 'default' };
    expect(usageQuestion(digest(1), 'harbor.example/lib/redis:7.2', identity, NOW, 15 * DAY)).toEqual({
      digest: digest(1),
      image_ref: 'harbor.example/lib/redis:7.2',
      identity: { policy: 'redis', import: 'v7', variant: 'default' },
      since: '2026-05-29T00:00:00+00:00',
    });
  });
});

const ASKED = { digest: digest(1), image_ref: 'harbor.example/lib/redis:7.2' };

describe('parseUsageAnswer', () => {
  it.each([
    ['null is not seen', '{"last_seen":null}', { kind: 'unseen', detail: '' }],
    [
      'a time is a sighting, also one from before the window',
      '{"last_seen":"2020-01-01T00:00:00Z"}',
      { kind: 'seen', atMs: Date.parse('2020-01-01') },
    ],
    [
      'a time without a zone is UTC',
      '{"last_seen":"2020-01-01T00:00:00"}',
      { kind: 'seen', atMs: Date.parse('2020-01-01') },
    ],
    ['it may repeat what it was asked', JSON.stringify({ ...ASKED, last_seen: null }), { kind: 'unseen' }],
    [
      'it may leave that out by null',
      '{"digest":null,"image_ref":null,"detail":null,"last_seen":null}',
      { kind: 'unseen' },
    ],
    [
      'the detail may speak of the key',
      '{"last_seen":null,"detail":"last_seen: \\"last_seen\\" :"}',
      { kind: 'unseen' },
    ],
    ['the detail is handed on', ' {"last_seen":null,"detail":"no pods"}\n', { kind: 'unseen', detail: 'no pods' }],
    ['a detail that is no text is left out', '{"last_seen":null,"detail":{}}', { kind: 'unseen', detail: '' }],
  ])('%s', (_, stdout, expected) => {
    expect(parseUsageAnswer(stdout, ASKED)).toMatchObject(expected);
  });

  it.each([
    ['an object without the key', '{}', 'its answer has no key last_seen'],
    ['another key', '{"lastSeen":null}', 'its answer has no key last_seen'],
    ['nothing', '\n', 'it printed nothing'],
    ['garbage', 'not json', 'it did not print JSON'],
    ['two objects', '{"last_seen":null}{"last_seen":null}', 'it did not print JSON'],
    ['an empty text', '{"last_seen":""}', 'its last_seen is no ISO 8601 time: ""'],
    ['a word', '{"last_seen":"never"}', 'its last_seen is no ISO 8601 time: "never"'],
    ['a number', '{"last_seen":0}', 'its last_seen is no ISO 8601 time: 0'],
    ['false', '{"last_seen":false}', 'its last_seen is no ISO 8601 time: false'],
    ['null alone', 'null', 'it did not print a JSON object'],
    ['a list', '[{"last_seen":null}]', 'it did not print a JSON object'],
    ['the key twice', '{"last_seen":"2026-06-01T00:00:00Z","last_seen":null}', 'it has last_seen twice'],
    [
      'the key twice, once in disguise',
      '{"last\\u005fseen":"2026-06-01T00:00:00Z","last_seen":null}',
      'it has last_seen twice',
    ],
    ['another digest', '{"digest":"sha256:00","last_seen":null}', 'its answer is about another digest'],
    [
      'another image',
      '{"image_ref":"harbor.example/lib/redis:8","last_seen":null}',
      'its answer is about another image_ref',
    ],
    ['an inherited key', '{"__proto__":{"last_seen":null}}', 'its answer has no key last_seen'],
  ])('takes %s for no answer', (_, stdout, detail) => {
    expect(parseUsageAnswer(stdout, ASKED)).toEqual({ kind: 'unknown', detail });
  });

  it('never lets go by anything but last_seen null', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json(),
          fc.jsonValue().map((value) => JSON.stringify({ last_seen: value })),
        ),
        (stdout) => {
          if (parseUsageAnswer(stdout, ASKED).kind === 'unseen')
            expect(JSON.parse(stdout)).toMatchObject({ last_seen: null });
        },
      ),
    );
  });

  it('quotes what an oracle says without control characters, and not at any length', () => {
    const said = JSON.stringify({ last_seen: null, detail: `\u001b[2J${'x'.repeat(5000)}` });
    const { detail } = parseUsageAnswer(said, ASKED);
    expect(detail).toMatch(/^\\x1b\[2Jx+…$/);
    expect(detail.length).toBeLessThan(600);
  });
});

describe('combineAnswers', () => {
  const unseen: UsageAnswer = { kind: 'unseen', detail: '' };
  const unknown: UsageAnswer = { kind: 'unknown', detail: 'late' };
  const seen = (atMs: number): UsageAnswer => ({ kind: 'seen', atMs, detail: '' });

  it.each([
    ['the latest sighting counts', [seen(1), seen(3), seen(2)], seen(3)],
    ['a sighting counts before everything else', [unseen, unknown, seen(1)], seen(1)],
    ['one question without an answer leaves the whole open', [unseen, unknown], unknown],
    ['only when all say so it is unseen', [unseen, unseen], unseen],
    ['nothing asked is nothing known', [], { kind: 'unknown', detail: 'nothing was asked' }],
  ])('%s', (_, answers, expected) => {
    expect(combineAnswers(answers as UsageAnswer[])).toEqual(expected);
  });
});
