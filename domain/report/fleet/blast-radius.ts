import { compareText } from '../../text/compare-text.js';
import type { FleetImage, FleetPackage, FleetReport } from './fleet-report.js';
import type { FilterMatch } from './image-filter.js';

/** Images that one thing reaches, as indexes into those of the report. */
export interface Group {
  /** null: the images that have none. */
  readonly key: string | null;
  readonly images: readonly number[];
}

export function byBaseDigest(report: FleetReport, among: readonly number[]): Group[] {
  return groupsBy(report, among, ({ base_digest }) => [base_digest]);
}

/** An image of several owners counts for each. */
export function byOwner(report: FleetReport, among: readonly number[]): Group[] {
  return groupsBy(report, among, ({ owners }) => (owners.length === 0 ? [null] : [...new Set(owners)]));
}

/** The most images first, what has no key last. */
function groupsBy(
  { images }: FleetReport,
  among: readonly number[],
  keysOf: (image: FleetImage) => readonly (string | null)[],
): Group[] {
  const groups = new Map<string | null, number[]>();
  for (const index of among) {
    const image = images[index];
    for (const key of image === undefined ? [] : keysOf(image)) {
      const group = groups.get(key);
      if (group === undefined) groups.set(key, [index]);
      else group.push(index);
    }
  }
  return [...groups]
    .map(([key, reached]) => ({ key, images: reached }))
    .sort((a, b) => {
      if (a.key === null || b.key === null) return a.key === null ? 1 : -1;
      return b.images.length - a.images.length || compareText(a.key, b.key);
    });
}

export interface PackageGroup {
  readonly package: FleetPackage;
  /** How many images have it in any version. */
  readonly images: number;
  /** Each has an image; the most images first. */
  readonly versions: readonly { readonly version: string; readonly images: readonly number[] }[];
}

/** Finds the packages of the images that are left over: those that the filter names, or all of them. */
export function byPackage({ images, packages }: FleetReport, match: FilterMatch): PackageGroup[] {
  const NONE = -1;
  /** The package that was last found in an image: what has two versions of one counts once. */
  const last = new Int32Array(images.length).fill(packages.length);
  for (const index of match.images) last[index] = NONE;
  const groups: PackageGroup[] = [];
  packages.forEach((one, place) => {
    let count = 0;
    const versions = one.versions.flatMap((version) => {
      if (match.named?.has(version) === false) return [];
      const reached = version.images.filter((index) => last[index] !== packages.length);
      for (const index of reached) {
        if (last[index] !== place) count += 1;
        last[index] = place;
      }
      return reached.length === 0 ? [] : [{ version: version.version, images: reached }];
    });
    versions.sort((a, b) => b.images.length - a.images.length || compareText(a.version, b.version));
    if (versions.length > 0) groups.push({ package: one, images: count, versions });
  });
  return groups.sort((a, b) => b.images - a.images || compareText(a.package.name, b.package.name));
}
