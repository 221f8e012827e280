import type { FleetPackage, FleetReport } from './fleet-report.js';

/** The report inside the page. Packages with their images are most of it, so each list of indexes is one short text. */
export type EmbeddedReport = Omit<FleetReport, 'packages'> & {
  readonly packages: readonly (Omit<FleetPackage, 'versions'> & {
    readonly versions: readonly { readonly version: string; readonly images: string }[];
  })[];
};

export function embedReport(report: FleetReport): EmbeddedReport {
  const packages = report.packages.map(({ versions, ...named }) => ({
    ...named,
    versions: versions.map(({ version, images }) => ({ version, images: packIndexes(images) })),
  }));
  return { ...report, packages };
}

export function readEmbedded(report: EmbeddedReport): FleetReport {
  const packages = report.packages.map(({ versions, ...named }) => ({
    ...named,
    versions: versions.map(({ version, images }) => ({ version, images: unpackIndexes(images) })),
  }));
  return { ...report, packages };
}

/** Five bits each; the upper half of the digits says that another follows. */
const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const MORE = 32;
const VALUES = new Uint8Array(128);
for (const [value, digit] of [...DIGITS].entries()) VALUES[digit.charCodeAt(0)] = value;

/** Writes how far each index is from the one before, the lowest bits first: a character an index, as long as they are near. */
function packIndexes(indexes: readonly number[]): string {
  let text = '';
  let before = -1;
  for (const index of indexes) {
    let left = index - before - 1;
    before = index;
    for (; left >= MORE; left >>>= 5) text += DIGITS[MORE | (left & 31)];
    text += DIGITS[left];
  }
  return text;
}

function unpackIndexes(text: string): number[] {
  const indexes: number[] = [];
  let index = -1;
  let distance = 0;
  let shift = 0;
  for (let at = 0; at < text.length; at++) {
    const digit = VALUES[text.charCodeAt(at)] ?? 0;
    distance |= (digit & 31) << shift;
    shift += 5;
    if (digit >= MORE) continue;
    index += distance + 1;
    indexes.push(index);
    distance = 0;
    shift = 0;
  }
  return indexes;
}
