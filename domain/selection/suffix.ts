/** What follows the numbers of a tag (docs/rules/selection.md#the-suffix-names-a-flavour). */
export interface Suffix {
  readonly prerelease: string | null;
  readonly build: string;
  readonly flavour: string;
}

const WORDS = 'alpha|beta|rc|cr|pre|preview|ea|milestone|snapshot|nightly|canary|unstable';
const NUMBER = /^\d+(?:\.\d+)*$/;
const PRERELEASE = new RegExp(`^(?:(?:${WORDS})(?:\\.?\\d+(?:\\.\\d+)*)?|(?:a|b|m|dev)\\d+)$`, 'i');
const LETTER = /^[a-z]\d*$/i;
const REVISION = /^(?:r|ls)\d+$/;
const COMMIT = /^g?(?=[a-f0-9]*[a-f])(?=[a-f0-9]*\d)[a-f0-9]{7,40}$/;

/** A pre-release word that stands free of other letters. */
export const PRERELEASE_WORD = new RegExp(`(?<![A-Za-z])(?:${WORDS})(?![A-Za-z])[.-]?\\d*`, 'i');

export function isCommit(text: string): boolean {
  return COMMIT.test(text);
}

/** Tells whether the text that runs on behind a number leaves it one: `32bit` is no version. */
export function endsNumber(text: string): boolean {
  const [attached = ''] = /^[A-Za-z0-9]*/.exec(text) ?? [];
  return attached === '' || PRERELEASE.test(attached) || LETTER.test(attached);
}

/** Reads the text behind the numbers of a tag, with its separator. */
export function readSuffix(text: string): Suffix {
  const prerelease: string[] = [];
  const build: string[] = [];
  const flavour: string[] = [];
  let numbersBelongTo: string[] | null = build;
  const pieces = text.replace(/^\./, '-').split(/[-_+]/);
  pieces.forEach((piece, index) => {
    const isAttached = index === 0 && piece !== '';
    if (piece === '' || isCommit(piece)) return;
    if (PRERELEASE.test(piece)) {
      prerelease.push(piece.toLowerCase());
      numbersBelongTo = prerelease;
    } else if (numbersBelongTo !== null && NUMBER.test(piece)) numbersBelongTo.push(piece);
    else if (REVISION.test(piece) || (isAttached && LETTER.test(piece))) build.push(piece);
    else {
      flavour.push(piece);
      numbersBelongTo = null;
    }
  });
  return {
    prerelease: prerelease.length === 0 ? null : prerelease.join('.'),
    build: build.join('.'),
    flavour: flavour.join('-'),
  };
}
