import { HoubaError } from '../errors.js';
import { nearest } from '../text/nearest.js';
import { foldName, namesOf, type Package, packageOf, sourceNamesOf } from './package.js';
import { parseRange } from './parse-range.js';
import { parsePurl } from './purl.js';
import { onlyVersion, type RangeAnswer, rangeTest, type VersionRange } from './range.js';
import { KNOWN_TYPES } from './versions.js';

/** Which packages somebody asks for. */
export interface PackageQuery {
  /** Type of package URL; null: any. */
  readonly type: string | null;
  /** As somebody writes it: `xz-utils`, `org.apache.logging.log4j:log4j-core`, `@babel/traverse`. */
  readonly name: string;
  /** null: every version. */
  readonly range: VersionRange | null;
}

/** docs/rules/packages.md#what-cannot-be-read-is-said */
export type PackageAnswer =
  | { readonly kind: 'other' }
  | { readonly kind: 'asked'; readonly by: FoundBy }
  | { readonly kind: 'unreadable'; readonly by: FoundBy; readonly why: string };

/** Its own name, or that of the source that it was built from. */
export type FoundBy = 'name' | 'source';

const OTHER: PackageAnswer = { kind: 'other' };

/** Characters. */
const LONGEST_NAME = 512;

/**
 * Parses `PACKAGE[@RANGE]`, the package as a name or as a package URL (docs/rules/packages.md#what-somebody-asks-for).
 * @throws HoubaError `ReferenceInvalid`
 */
export function parseQuery(text: string): PackageQuery {
  const trimmed = text.trim();
  return /^pkg:/i.test(trimmed) ? parsePurlQuery(trimmed) : parseNameQuery(trimmed);
}

function parseNameQuery(text: string): PackageQuery {
  // The first character may be the @ of a scope.
  const at = text.indexOf('@', 1);
  const name = at < 0 ? text : text.slice(0, at);
  if (name === '' || name === '@') throw invalidQuery(text, 'the name of a package is missing');
  if (name.length > LONGEST_NAME) throw invalidQuery(text, `the name is longer than ${LONGEST_NAME} characters`);
  if (/[\s<>=|*!^~]/.test(name)) throw invalidQuery(text, 'a range follows the name behind an @');
  if (/^[^:]+:[^:]+:[^:]+$/.test(name)) throw invalidQuery(text, 'a version follows group:artifact behind an @');
  if (name.includes('%'))
    throw invalidQuery(text, 'a name is written as it is, without %; a package URL begins with pkg:');
  return { type: null, name, range: at < 0 ? null : parseRange(text.slice(at + 1)) };
}

/** A package URL whose version may be a range as well: `pkg:deb/debian/xz-utils@>=5.6.0 <5.6.2`. */
function parsePurlQuery(text: string): PackageQuery {
  const [, unversioned = text, range] = /^([^?#]*[^/@])@(\s*(?:[<>=!*]|vers:).*)$/s.exec(text) ?? [];
  const purl = parsePurl(unversioned);
  if (purl === null) throw invalidQuery(text, 'it is no package URL such as pkg:deb/debian/xz-utils@5.6.1');
  if (!KNOWN_TYPES.has(purl.type)) {
    const meant = nearest(purl.type, KNOWN_TYPES);
    throw invalidQuery(
      text,
      `no packages have the type ${purl.type}${meant === null ? '' : `; did you mean ${meant}?`}`,
    );
  }
  const asked = packageOf(purl);
  const [name = asked.name] = namesOf(asked);
  if (range !== undefined) return { type: asked.type, name, range: parseRange(range) };
  return { type: asked.type, name, range: asked.version === null ? null : onlyVersion(asked.version) };
}

/** Tells whether packages are asked for, by their names and by those of their sources. */
export function queryTest({ type, name, range }: PackageQuery): (tested: Package) => PackageAnswer {
  const inRange = range === null ? null : rangeTest(range);
  return (tested) => {
    if (type !== null && type !== tested.type) return OTHER;
    const wanted = foldName(tested.type, name);
    const found: (readonly [FoundBy, string | null])[] = [];
    if (namesOf(tested).includes(wanted)) found.push(['name', tested.version]);
    if (sourceNamesOf(tested).includes(wanted)) found.push(['source', tested.source?.version ?? tested.version]);
    const answers = found.map(([by, version]) => answerOf(by, inRange?.(tested.type, version) ?? { kind: 'inside' }));
    return answers.find(({ kind }) => kind === 'asked') ?? answers.find(({ kind }) => kind !== 'other') ?? OTHER;
  };
}

function answerOf(by: FoundBy, answer: RangeAnswer): PackageAnswer {
  switch (answer.kind) {
    case 'inside':
      return { kind: 'asked', by };
    case 'outside':
      return OTHER;
    case 'unreadable':
      return { kind: 'unreadable', by, why: answer.why };
  }
}

function invalidQuery(text: string, why: string): HoubaError {
  return new HoubaError('ReferenceInvalid', `not a usable package: ${JSON.stringify(text.slice(0, 300))}: ${why}`, {
    hint: "write PACKAGE or PACKAGE@RANGE, as in 'xz-utils@>=5.6.0 <5.6.2' or pkg:npm/%40babel/traverse",
  });
}
