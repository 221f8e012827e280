import { HoubaError } from '../errors.js';
import { asObject } from '../text/json.js';
import { type Package, packageOf } from './package.js';
import { parsePurl } from './purl.js';
import { KNOWN_TYPES } from './versions.js';

/** A package in an SBOM. */
export interface SbomPackage extends Package {
  /** null: the SBOM has none. */
  readonly purl: string | null;
  /** Path of the file, or files, that it was found in, where the SBOM tells. */
  readonly location: string | null;
}

export interface SbomPackages {
  /** Each once, in the order of the SBOM. */
  readonly packages: readonly SbomPackage[];
  /** How many entries could not be read: the list lacks them. */
  readonly skipped: number;
  /** Which was the first, and why; null: none. */
  readonly firstSkipped: string | null;
}

export const MOST_PACKAGES = 200_000;
export const DEEPEST_COMPONENT = 32;

/** Characters. */
const LONGEST_TEXT = 1_024;

type Json = Readonly<Record<string, unknown>>;

/** A package; text: why it cannot be read; null: it is something else than a package. */
type Entry = SbomPackage | string | null;

/**
 * Lists the distinct packages of a parsed SBOM, SPDX 2 or CycloneDX 1 as JSON
 * (docs/rules/packages.md#an-sbom-is-read-as-far-as-it-can-be).
 * @throws HoubaError `Unsupported` when it is neither
 */
export function packagesIn(document: unknown): SbomPackages {
  const { spdxVersion, packages, bomFormat, components } = asObject(document);
  if (typeof spdxVersion === 'string' && spdxVersion.startsWith('SPDX-2.')) {
    return collect(entriesIn('packages', packages), readSpdxPackage);
  }
  if (bomFormat === 'CycloneDX') return collect(componentsIn('components', components), readComponent);
  throw new HoubaError('Unsupported', 'the document is no SBOM that houba reads', {
    hint: 'it reads SPDX 2 and CycloneDX 1, both as JSON',
  });
}

function collect(entries: Iterable<[place: string, value: unknown]>, read: (entry: Json) => Entry): SbomPackages {
  const found = new Map<string, SbomPackage>();
  let skipped = 0;
  let firstSkipped: string | null = null;
  for (const [place, value] of entries) {
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    const entry = isObject ? read(asObject(value)) : 'it is no object';
    if (entry === null) continue;
    const problem = typeof entry === 'string' ? entry : addOnce(found, entry);
    if (problem === null) continue;
    skipped += 1;
    firstSkipped ??= `${place}: ${problem}`;
  }
  return { packages: [...found.values()], skipped, firstSkipped };
}

/** Says why there is no room for it; null: there is, or it is there. */
function addOnce(found: Map<string, SbomPackage>, entry: SbomPackage): string | null {
  const key = entry.purl ?? JSON.stringify([entry.type, entry.namespace, entry.name, entry.version]);
  if (found.has(key)) return null;
  if (found.size >= MOST_PACKAGES) return `it comes behind ${MOST_PACKAGES} packages`;
  found.set(key, entry);
  return null;
}

/** Stands for entries that nobody can read: there is no list, or it lies too deep. */
const NO_LIST = null;

/** @param list null is nothing (docs/rules/registry-access.md#null-is-nothing) */
function entriesIn(place: string, list: unknown): [place: string, value: unknown][] {
  if (list === undefined || list === null) return [];
  return Array.isArray(list) ? list.map((value, index) => [`${place}[${index}]`, value]) : [[place, NO_LIST]];
}

/** Lists components and those nested in them. */
function* componentsIn(at: string, list: unknown, depth = 1): Generator<[place: string, value: unknown]> {
  for (const [place, value] of entriesIn(at, list)) {
    yield [place, value];
    const { components } = asObject(value);
    if (components === undefined || components === null) continue;
    if (depth < DEEPEST_COMPONENT) yield* componentsIn(`${place}.components`, components, depth + 1);
    else yield [`${place}.components`, NO_LIST];
  }
}

/** What an entry says besides its package URL. */
interface Described {
  readonly purl: unknown;
  readonly name: unknown;
  readonly version: unknown;
  /** Of an entry without a package URL. */
  readonly type: string;
  readonly namespace: string | null;
  readonly location: string | null;
}

/** SPDX 2.3, clause 7. */
function readSpdxPackage({ name, versionInfo, externalRefs, primaryPackagePurpose, sourceInfo }: Json): Entry {
  const references = entriesIn('', externalRefs).map(([, reference]) => asObject(reference));
  const purl = references.find(({ referenceType }) => referenceType === 'purl')?.referenceLocator;
  const purpose = (textOf(primaryPackagePurpose) ?? '').toLowerCase().replace('_', '-');
  if (isOther(purpose, purl)) return null;
  // As syft writes it: "acquired package info from DPKG DB: /var/lib/dpkg/status".
  const [, location = null] = /^acquired package info from [^/:]*: (.+)$/s.exec(textOf(sourceInfo) ?? '') ?? [];
  const version = versionInfo === 'NOASSERTION' ? null : versionInfo;
  return readPackage({ purl, name, version, type: 'generic', namespace: null, location });
}

/** Types of package URL by those that syft has, where these differ. */
const SYFT_TYPES = new Map(
  Object.entries({
    ...{ 'java-archive': 'maven', 'jenkins-plugin': 'maven', python: 'pypi', 'go-module': 'golang', dotnet: 'nuget' },
    ...{ 'rust-crate': 'cargo', 'php-composer': 'composer', 'dart-pub': 'pub', 'erlang-otp': 'otp', pod: 'cocoapods' },
    'R-package': 'cran',
  }),
);

/** CycloneDX 1, components. */
function readComponent({ type, group, name, version, purl, properties }: Json): Entry {
  if (isOther(textOf(type), purl)) return null;
  const said = new Map<unknown, unknown>();
  for (const [, property] of entriesIn('', properties)) {
    const { name: key, value } = asObject(property);
    if (!said.has(key)) said.set(key, value);
  }
  const syftType = textOf(said.get('syft:package:type')) ?? '';
  const known = SYFT_TYPES.get(syftType) ?? (KNOWN_TYPES.has(syftType) ? syftType : 'generic');
  return readPackage({
    ...{ purl, name, version, namespace: textOf(group), type: known },
    location: textOf(said.get('syft:metadata:virtualPath')) ?? textOf(said.get('syft:location:0:path')),
  });
}

const OTHERS = new Set(['file', 'operating-system', 'device', 'firmware', 'data', 'machine-learning-model']);

/** Tells an image, a file or a distribution, which SBOMs list as well, from a package. */
function isOther(purpose: string | null, purl: unknown): boolean {
  return purpose === 'container' || (OTHERS.has(purpose ?? '') && isMissing(purl));
}

function readPackage({ purl, name, version, type, namespace, location }: Described): Entry {
  if (isMissing(purl)) {
    const known = textOf(name);
    if (known === null) return 'it has neither a package URL nor a name';
    return { type, namespace, name: known, version: textOf(version), source: null, distro: null, purl: null, location };
  }
  const parsed = typeof purl === 'string' ? parsePurl(purl) : null;
  if (typeof purl !== 'string' || parsed === null) return 'what should be its package URL is none';
  const read = packageOf(parsed);
  return { ...read, version: read.version ?? textOf(version), purl, location };
}

function isMissing(purl: unknown): boolean {
  return purl === undefined || purl === null || purl === '';
}

/** null: it is no text, or empty, or longer than a name, a version or a path is. */
function textOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' && value.length <= LONGEST_TEXT ? value : null;
}
