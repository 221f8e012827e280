import type { Digest } from '../../../../domain/digest.js';
import type { Mark, PlacedMark } from '../../../../domain/lifecycle/mark.js';

export const DAY = 86_400_000;
export const NOW = Date.parse('2026-06-13T00:00:00Z');

/** A digest that can be told apart by its number. */
export function digest(number: number): Digest {
  return `sha256:${number.toString(16).padStart(64, '0')}` as Digest;
}

export function daysAgo(days: number): string {
  return new Date(NOW - days * DAY).toISOString().replace('Z', '+00:00');
}

export const IDENTITY = { policy: 'redis', import: 'stable', variant: 'hardened' };

export function mark(facts: Partial<Mark> = {}): Mark {
  return {
    tag: '7.2.1',
    state: 'pending-deletion',
    markedAt: '2026-06-12T08:00:00+00:00',
    reason: 'dropped-from-selection',
    identity: IDENTITY,
    restored: null,
    ...facts,
  };
}

export const SUBJECT = digest(1);

/** Its number tells one mark from another. */
export function placed(number: number, facts: Partial<Mark> = {}, subject = SUBJECT): PlacedMark {
  return { referrer: digest(number), subject, mark: mark(facts) };
}

export const RESTORED = { state: 'restored', restored: { by: 'alice', reason: 'still needed' } } as const;
