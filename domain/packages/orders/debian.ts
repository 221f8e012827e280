import { compareDigits } from '../../text/digits.js';
import type { VersionOrder } from './order.js';

interface DebianVersion {
  /** Digits; null where none is written, which is 0. */
  readonly epoch: string | null;
  readonly upstream: string;
  readonly revision: string | null;
}

/** Only behind an epoch may there be another colon. */
const VERSION = /^(?:(\d+):(\d.*)|(\d[^:]*))$/;

/** Text and the number behind it, either of them perhaps empty. */
const PIECE = /(\D*)(\d*)/y;

const REALLY = '+really';
const REPACKED = /[+.~](?:dfsg|ds|repack)[\d.]*$/;

/** deb-version(7). */
export const DEBIAN: VersionOrder<DebianVersion> = {
  noun: 'version of Debian',
  read(text) {
    const [, epoch = null, behind, all] = VERSION.exec(text) ?? [];
    const rest = behind ?? all;
    if (rest === undefined) return null;
    const hyphen = rest.lastIndexOf('-');
    if (hyphen === rest.length - 1) return null;
    return hyphen < 0
      ? { epoch, upstream: rest, revision: null }
      : { epoch, upstream: rest.slice(0, hyphen), revision: rest.slice(hyphen + 1) };
  },
  compare(a, b) {
    return (
      compareDigits(a.epoch ?? '0', b.epoch ?? '0') ||
      comparePieces(a.upstream, b.upstream) ||
      comparePieces(a.revision ?? '', b.revision ?? '')
    );
  },
  asFarAs(bound, { epoch, upstream, revision }) {
    const counted = bound.epoch === null ? null : epoch;
    if (bound.revision !== null) return { epoch: counted, upstream, revision };
    return { epoch: counted, upstream: insideOf(upstream, bound.upstream), revision: null };
  },
};

/** docs/rules/packages.md#what-follows-really-is-inside */
function insideOf(upstream: string, bound: string): string {
  const really = upstream.lastIndexOf(REALLY);
  const inside = really < 0 || bound.includes(REALLY) ? upstream : upstream.slice(really + REALLY.length);
  return REPACKED.test(bound) ? inside : inside.replace(REPACKED, '');
}

/** Compares text and numbers in turn; `~` comes before the end, letters before other characters. */
function comparePieces(a: string, b: string): number {
  let [left, right] = [0, 0];
  while (left < a.length || right < b.length) {
    const [one, other] = [pieceAt(a, left), pieceAt(b, right)];
    const difference = compareLetters(one.text, other.text) || compareDigits(one.digits || '0', other.digits || '0');
    if (difference !== 0) return difference;
    left = one.end;
    right = other.end;
  }
  return 0;
}

function pieceAt(text: string, index: number): { text: string; digits: string; end: number } {
  PIECE.lastIndex = index;
  const [all, letters = '', digits = ''] = PIECE.exec(text) ?? [''];
  return { text: letters, digits, end: index + all.length };
}

function compareLetters(a: string, b: string): number {
  for (let index = 0; index < Math.max(a.length, b.length); index += 1) {
    const difference = weightOf(a[index]) - weightOf(b[index]);
    if (difference !== 0) return difference;
  }
  return 0;
}

function weightOf(character: string | undefined): number {
  if (character === undefined) return 0;
  if (character === '~') return -1;
  const code = character.charCodeAt(0);
  return /[A-Za-z]/.test(character) ? code : code + 256;
}
