import { compareText } from '../../text/compare-text.js';
import { compareDigits } from '../../text/digits.js';
import { compareNumbers, type VersionOrder } from './order.js';

interface PythonVersion {
  readonly epoch: string;
  readonly release: readonly string[];
  /** Where the version stands among those of its release: pre-release, post-release, development release. */
  readonly phases: readonly Phase[];
  /** Empty: no local version. */
  readonly local: readonly string[];
}

interface Phase {
  readonly rank: number;
  /** Digits. */
  readonly number: string;
}

/** PEP 440, appendix B: separators and spellings that are read as others are in the pattern. */
const VERSION = new RegExp(
  [
    '^v?(?:(?<epoch>\\d+)!)?(?<release>\\d+(?:\\.\\d+)*)',
    '(?:[-_.]?(?<pre>alpha|a|beta|b|preview|pre|c|rc)[-_.]?(?<preNumber>\\d*))?',
    '(?:-(?<implicit>\\d+)|[-_.]?(?<post>post|rev|r)[-_.]?(?<postNumber>\\d*))?',
    '(?:[-_.]?(?<dev>dev)[-_.]?(?<devNumber>\\d*))?',
    '(?:\\+(?<local>[a-z0-9]+(?:[-_.][a-z0-9]+)*))?$',
  ].join(''),
);

const PRE_RANKS = new Map(Object.entries({ alpha: 1, a: 1, beta: 2, b: 2, c: 3, rc: 3, pre: 3, preview: 3 }));
const NO_PRE = 4;
const NONE: Phase = { rank: 0, number: '0' };

/** PEP 440. */
export const PYTHON: VersionOrder<PythonVersion> = {
  noun: 'version of PyPI',
  read(text) {
    const { groups } = VERSION.exec(text.toLowerCase()) ?? {};
    if (groups === undefined) return null;
    const { epoch = '0', release = '', pre, preNumber, implicit, post, postNumber, dev, devNumber, local } = groups;
    const hasPost = implicit !== undefined || post !== undefined;
    // A development release of the release itself comes before its pre-releases.
    const isOnlyDev = pre === undefined && !hasPost && dev !== undefined;
    return {
      epoch,
      release: release.split('.'),
      phases: [
        pre === undefined ? { ...NONE, rank: isOnlyDev ? 0 : NO_PRE } : phase(PRE_RANKS.get(pre) ?? 0, preNumber),
        hasPost ? phase(1, implicit ?? postNumber) : NONE,
        dev === undefined ? { ...NONE, rank: 1 } : phase(0, devNumber),
      ],
      local: local?.split(/[-_.]/) ?? [],
    };
  },
  compare(a, b) {
    return (
      compareDigits(a.epoch, b.epoch) ||
      compareNumbers(a.release, b.release) ||
      comparePhases(a.phases, b.phases) ||
      compareLocals(a.local, b.local)
    );
  },
  asFarAs: (bound, version) => (bound.local.length > 0 ? version : { ...version, local: [] }),
};

function phase(rank: number, number: string | undefined): Phase {
  return { rank, number: number || '0' };
}

function comparePhases(a: readonly Phase[], b: readonly Phase[]): number {
  for (const [index, { rank, number }] of a.entries()) {
    const other = b[index] ?? NONE;
    const difference = rank - other.rank || compareDigits(number, other.number);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Compares part by part: a missing part before text, text before numbers. */
function compareLocals(a: readonly string[], b: readonly string[]): number {
  for (let index = 0; index < Math.max(a.length, b.length); index += 1) {
    const [one, other] = [a[index], b[index]];
    if (one === undefined || other === undefined) return Number(one !== undefined) - Number(other !== undefined);
    const [isNumber, otherIsNumber] = [/^\d+$/.test(one), /^\d+$/.test(other)];
    const compare = isNumber && otherIsNumber ? compareDigits : compareText;
    const difference = Number(isNumber) - Number(otherIsNumber) || compare(one, other);
    if (difference !== 0) return difference;
  }
  return 0;
}
