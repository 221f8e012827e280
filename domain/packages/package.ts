import type { Purl } from './purl.js';

export interface NamedVersion {
  readonly name: string;
  readonly version: string | null;
}

/** A package as an inventory has it. */
export interface Package extends NamedVersion {
  /** Type of package URL: the ecosystem. */
  readonly type: string;
  readonly namespace: string | null;
  /** What a distribution built it from; null: not said. */
  readonly source: NamedVersion | null;
  /** Such as `debian-12`. */
  readonly distro: string | null;
}

export function packageOf({ type, namespace, name, version, qualifiers }: Purl): Package {
  const epoch = type === 'rpm' ? (qualifiers.get('epoch') ?? null) : null;
  const source = sourceOf(type, qualifiers.get('upstream') ?? '');
  return {
    ...{ type, namespace, name, version: withEpoch(epoch, version), distro: qualifiers.get('distro') ?? null },
    // The packages that are built from one source mostly share its epoch, which a file name does not have.
    source: source === null ? null : { ...source, version: withEpoch(epoch, source.version) },
  };
}

/** RPM's epoch is a qualifier, for a package URL of RPM has none in its version. */
function withEpoch(epoch: string | null, version: string | null): string | null {
  return epoch === null || version === null || version.includes(':') ? version : `${epoch}:${version}`;
}

const SOURCE_RPM = /^(.+)-([^-]+-[^-]+)\.(?:no)?src\.rpm$/;

/** Reads the qualifier `upstream`: `xz-utils`, `gcc-12@12.2.0-14`, for RPM `xz-5.6.1-1.fc40.src.rpm`. */
function sourceOf(type: string, upstream: string): NamedVersion | null {
  const [, rpmName, rpmVersion] = (type === 'rpm' && SOURCE_RPM.exec(upstream)) || [];
  if (rpmName !== undefined && rpmVersion !== undefined) return { name: rpmName, version: rpmVersion };
  const [name = '', ...version] = upstream.split('@');
  return name === '' ? null : { name, version: version.join('@') || null };
}

/** Types whose namespace belongs to the name: asking for the name alone finds none in a namespace. */
const SCOPED = new Set(['npm']);

/** Lists the names by which a package is found (docs/rules/packages.md#a-name-is-that-of-its-ecosystem). */
export function namesOf({ type, namespace, name }: Pick<Package, 'type' | 'namespace' | 'name'>): string[] {
  const full = namespace === null ? name : `${namespace}${type === 'maven' ? ':' : '/'}${name}`;
  const names = type === 'golang' ? modulePaths(full) : [full, ...(SCOPED.has(type) ? [] : [name])];
  return [...new Set(names.map((one) => foldName(type, one)))];
}

/** Lists the names by which a package is found for its source. */
export function sourceNamesOf({ type, namespace, source }: Package): string[] {
  return source === null ? [] : namesOf({ type, namespace, name: source.name });
}

/** A module's path with and without its major version, and the last element of it. */
function modulePaths(path: string): string[] {
  const withoutMajor = path.replace(/[/.]v\d+$/, '');
  return [path, withoutMajor, ...[path, withoutMajor].map((one) => one.slice(one.lastIndexOf('/') + 1))];
}

/** Types whose names are the same in any case. */
const ANY_CASE = new Set([
  ...['alpm', 'apk', 'bitbucket', 'bitnami', 'cargo', 'composer', 'deb', 'github', 'gitlab', 'golang', 'hex', 'npm'],
  ...['nuget', 'oci', 'pub'],
]);

/** Makes two spellings of one name the same, as the ecosystem has it. */
export function foldName(type: string, name: string): string {
  if (type === 'pypi') return name.toLowerCase().replace(/[-_.]+/g, '-');
  return ANY_CASE.has(type) ? name.toLowerCase() : name;
}
