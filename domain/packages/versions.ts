import { ALPINE } from './orders/alpine.js';
import { DEBIAN } from './orders/debian.js';
import { GENERIC } from './orders/generic.js';
import { MAVEN } from './orders/maven.js';
import type { VersionOrder } from './orders/order.js';
import { PYTHON } from './orders/python.js';
import { RPM } from './orders/rpm.js';
import { NUGET, SEMVER } from './orders/semver.js';

/** Characters. No ecosystem needs as many; what is longer was made to be. */
export const LONGEST_VERSION = 256;

/** Orders by type of package URL. */
const ORDERS = new Map<string, VersionOrder>([
  ['deb', DEBIAN],
  ['rpm', RPM],
  ['apk', ALPINE],
  ['maven', MAVEN],
  ['pypi', PYTHON],
  ['nuget', NUGET],
  ...['npm', 'golang', 'cargo', 'hex', 'pub', 'swift'].map((type): [string, VersionOrder] => [type, SEMVER]),
]);

/** Other types that inventories have; their versions have the plain order. */
const OTHER_TYPES = [
  ...['alpm', 'bitbucket', 'bitnami', 'brew', 'cocoapods', 'composer', 'conan', 'conda', 'cpan', 'cran', 'docker'],
  ...['gem', 'generic', 'github', 'gitlab', 'hackage', 'homebrew', 'huggingface', 'julia', 'luarocks', 'mlflow', 'nix'],
  ...['oci', 'opam', 'otp', 'pear', 'portage', 'qpkg', 'swid', 'swiplpack', 'terraform', 'vcpkg', 'wordpress-plugin'],
];

/** Types of package URLs that a range or a question may name. */
export const KNOWN_TYPES: ReadonlySet<string> = new Set([...ORDERS.keys(), ...OTHER_TYPES]);

/** @param type of a package URL; one without an order of its own has the plain one */
export function orderOf(type: string): VersionOrder {
  return ORDERS.get(type) ?? GENERIC;
}

/**
 * Compares two versions of packages of a type, ascending. null: one of them cannot be read; `versionProblem` says why
 * (docs/rules/packages.md#what-cannot-be-read-is-said).
 */
export function compareVersions(type: string, a: string, b: string): number | null {
  const order = orderOf(type);
  const [one, other] = [readVersion(order, a), readVersion(order, b)];
  return one === null || other === null ? null : order.compare(one, other);
}

/** Says why a version cannot be ordered; null: it can. */
export function versionProblem(type: string, version: string): string | null {
  if (version.length > LONGEST_VERSION) return `its version is longer than ${LONGEST_VERSION} characters`;
  const order = orderOf(type);
  return readVersion(order, version) === null ? `${JSON.stringify(version)} is no ${order.noun}` : null;
}

/** null: the order cannot read it. */
export function readVersion(order: VersionOrder, version: string): unknown {
  return version.length <= LONGEST_VERSION && /^[!-~]+$/.test(version) ? order.read(version) : null;
}
