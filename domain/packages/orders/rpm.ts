import { compareText } from '../../text/compare-text.js';
import { compareDigits } from '../../text/digits.js';
import type { VersionOrder } from './order.js';

interface RpmVersion {
  /** Digits; null where none is written, which is 0. */
  readonly epoch: string | null;
  readonly version: readonly string[];
  readonly release: readonly string[] | null;
}

const VERSION = /^(?:(\d*):)?(.*?)(?:-([^-]*))?$/;

/** Runs of digits and of letters, `~` and `^`; what else is between them only separates. */
const SEGMENT = /\d+|[A-Za-z]+|[~^]/g;

/** The order of RPM's own `rpmvercmp`, with epoch and release (rpm-version(7)). */
export const RPM: VersionOrder<RpmVersion> = {
  noun: 'version of RPM',
  read(text) {
    const [, epoch, version = '', release] = VERSION.exec(text) ?? [];
    if (!/\d/.test(version)) return null;
    return {
      epoch: epoch === undefined ? null : epoch || '0',
      version: version.match(SEGMENT) ?? [],
      release: release === undefined ? null : (release.match(SEGMENT) ?? []),
    };
  },
  compare(a, b) {
    return (
      compareDigits(a.epoch ?? '0', b.epoch ?? '0') ||
      compareSegments(a.version, b.version) ||
      Number(a.release !== null) - Number(b.release !== null) ||
      compareSegments(a.release ?? [], b.release ?? [])
    );
  },
  asFarAs(bound, { epoch, version, release }) {
    return {
      epoch: bound.epoch === null ? null : epoch,
      version,
      release: bound.release === null ? null : release,
    };
  },
};

function compareSegments(a: readonly string[], b: readonly string[]): number {
  for (let index = 0; index < Math.max(a.length, b.length); index += 1) {
    const [one, other] = [a[index] ?? '', b[index] ?? ''];
    const difference = rankOf(one) - rankOf(other) || compareSegment(one, other);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** `~` comes before the end, `^` behind it and before everything else, letters before numbers. */
function rankOf(segment: string): number {
  if (segment === '~') return -1;
  if (segment === '') return 0;
  if (segment === '^') return 1;
  return /^\d/.test(segment) ? 3 : 2;
}

function compareSegment(a: string, b: string): number {
  return /^\d/.test(a) ? compareDigits(a, b) : compareText(a, b);
}
