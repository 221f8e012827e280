/** A package URL (purl specification, ECMA-427), read leniently: no type asks for a namespace or a version. */
export interface Purl {
  /** Lower case. */
  readonly type: string;
  /** Segments between `/`; null: none. */
  readonly namespace: string | null;
  readonly name: string;
  readonly version: string | null;
  readonly qualifiers: ReadonlyMap<string, string>;
}

/** Characters. */
const LONGEST_PURL = 4_096;

const TYPE = /^[a-z][a-z0-9.+-]*$/;
const QUALIFIER = /^[a-z][a-z0-9._-]*$/;

/** Parses a package URL, without its subpath; null: it is none. */
export function parsePurl(text: string): Purl | null {
  const [, located] = /^pkg:\/*(.+)$/is.exec(text.length > LONGEST_PURL ? '' : text) ?? [];
  if (located === undefined) return null;
  const [unfragmented] = cutAtLast(located, '#');
  const [path, query] = cutAtLast(unfragmented, '?');
  const [rawType = '', ...segments] = path.split('/');
  const type = rawType.toLowerCase();
  const [versioned, version] = cutVersion(segments.filter((segment) => segment !== '').join('/'));
  const decoded = versioned.split('/').map(decode);
  const name = decoded.pop();
  const qualifiers = readQualifiers(query);
  const decodedVersion = version === null ? null : decode(version);
  if (!TYPE.test(type) || !name || qualifiers === null) return null;
  if (decoded.includes(null) || (version !== null && decodedVersion === null)) return null;
  return { type, namespace: decoded.join('/') || null, name, version: decodedVersion || null, qualifiers };
}

/** Cuts the version off; the `@` of a scope begins a segment. */
function cutVersion(path: string): [path: string, version: string | null] {
  const at = path.lastIndexOf('@');
  return at <= 0 || path[at - 1] === '/' ? [path, null] : [path.slice(0, at), path.slice(at + 1)];
}

function cutAtLast(text: string, separator: string): [before: string, behind: string] {
  const index = text.lastIndexOf(separator);
  return index < 0 ? [text, ''] : [text.slice(0, index), text.slice(index + 1)];
}

/** null: they are malformed, or one is there twice. */
function readQualifiers(query: string): Map<string, string> | null {
  const qualifiers = new Map<string, string>();
  for (const pair of query.split('&')) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    const key = pair.slice(0, equals).toLowerCase();
    const value = decode(pair.slice(equals + 1));
    if (equals < 0 || !QUALIFIER.test(key) || value === null || qualifiers.has(key)) return null;
    if (value !== '') qualifiers.set(key, value);
  }
  return qualifiers;
}

/** A `+` stays one: Debian's versions have it, and some writers leave it as it is. */
function decode(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}
