import { compareText } from '../../text/compare-text.js';
import { compareDigits } from '../../text/digits.js';
import type { VersionOrder } from './order.js';

/** Parts of a version in their order. Where one version has an earlier part than the other, it is the higher. */
const PART = { first: 0, number: 1, letter: 2, suffix: 3, suffixNumber: 4, commit: 5, revision: 6, end: 7 } as const;

interface Part {
  readonly kind: number;
  readonly text: string;
}

const VERSION = /^\d+(?:\.\d+)*[a-z]?(?:_(?:alpha|beta|pre|rc|cvs|svn|git|hg|p)\d*)*(?:~[0-9a-f]+)?(?:-r\d+)?$/;

const PIECE = /^(\d+)|\.(\d+)|_([a-z]+)(\d*)|~([0-9a-f]+)|-r(\d+)|([a-z])/g;

const SUFFIXES = ['alpha', 'beta', 'pre', 'rc', 'cvs', 'svn', 'git', 'hg', 'p'];
const BEFORE_RELEASE = SUFFIXES.slice(0, 4);
const END: Part = { kind: PART.end, text: '' };

/** apk-package(5) of apk-tools 3: `digits{.digits}[letter]{_suffix[digits]}[~commit][-rN]`, nothing else. */
export const ALPINE: VersionOrder<readonly Part[]> = {
  noun: 'version of Alpine',
  read: (text) => (VERSION.test(text) ? Array.from(text.matchAll(PIECE), partsOf).flat() : null),
  compare(a, b) {
    for (let index = 0; ; index += 1) {
      const [one = END, other = END] = [a[index], b[index]];
      if (one.kind !== other.kind) {
        return Number(isPrerelease(other)) - Number(isPrerelease(one)) || other.kind - one.kind;
      }
      const difference = compareParts(one, other);
      if (difference !== 0 || one === END) return difference;
    }
  },
  asFarAs(bound, version) {
    const isRevision = ({ kind }: Part) => kind === PART.revision;
    return bound.some(isRevision) ? version : version.filter((part) => !isRevision(part));
  },
};

function partsOf([, first, number, suffix, suffixNumber, commit, revision, letter]: RegExpExecArray): Part[] {
  const texts = { first, number, letter, suffix, suffixNumber: suffixNumber || undefined, commit, revision };
  return Object.entries(texts).flatMap(([kind, text]) =>
    text === undefined ? [] : [{ kind: PART[kind as keyof typeof texts], text }],
  );
}

function isPrerelease({ kind, text }: Part): boolean {
  return kind === PART.suffix && BEFORE_RELEASE.includes(text);
}

function compareParts(a: Part, b: Part): number {
  switch (a.kind) {
    case PART.suffix:
      return SUFFIXES.indexOf(a.text) - SUFFIXES.indexOf(b.text);
    case PART.number:
      // A fraction: 1.01 comes before 1.1 and before 1.02.
      if (a.text.startsWith('0') || b.text.startsWith('0')) return compareText(a.text, b.text);
      return compareDigits(a.text, b.text);
    case PART.first:
    case PART.suffixNumber:
    case PART.revision:
      return compareDigits(a.text, b.text);
    default:
      return compareText(a.text, b.text);
  }
}
