import { compareText } from './compare-text.js';

/** Compares runs of digits as numbers of any length; an empty run comes before any. */
export function compareDigits(a: string, b: string): number {
  const [one, other] = [withoutZeros(a), withoutZeros(b)];
  return one.length - other.length || compareText(one, other);
}

export function withoutZeros(digits: string): string {
  return digits.replace(/^0+(?=\d)/, '');
}
