import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import type { Digest } from '../digest.js';
import { prefixedKeys } from '../stamp/keys.js';

export type SbomFormat = 'spdx-json' | 'cyclonedx-json';

/** Media types, also artifact types of the referrers (docs/rules/evidence.md#media-types-are-the-standards). */
export const SBOM_MEDIA_TYPES: Readonly<Record<SbomFormat, string>> = {
  'spdx-json': 'application/spdx+json',
  'cyclonedx-json': 'application/vnd.cyclonedx+json',
};

export const MAX_SBOM_BYTES = 128 * 1024 * 1024;

export const SBOM_PREDICATE_TYPES: Readonly<Record<SbomFormat, string>> = {
  'spdx-json': 'https://spdx.dev/Document',
  'cyclonedx-json': 'https://cyclonedx.org/bom',
};

/** The image itself, or a child of an index. */
export interface PlatformManifest {
  readonly digest: Digest;
  readonly platform: string;
}

export interface SbomReferrer {
  readonly artifactType: string;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface MissingSbom {
  readonly of: PlatformManifest;
  readonly subject: Digest;
  readonly format: SbomFormat;
}

/**
 * Finds the SBOMs that are missing (docs/rules/evidence.md#evidence-goes-where-readers-look).
 * @param platforms for a single image, the image itself
 */
export function missingSboms(
  subject: Digest,
  platforms: readonly PlatformManifest[],
  formats: readonly SbomFormat[],
  referrersOf: ReadonlyMap<Digest, readonly SbomReferrer[]>,
  prefix: string,
): MissingSbom[] {
  const platformKey = prefixedKeys(prefix)?.sbomPlatform;
  const missing: MissingSbom[] = [];
  for (const of of platforms) {
    for (const format of formats) {
      for (const target of new Set([of.digest, subject])) {
        const found = (referrersOf.get(target) ?? []).some(
          (referrer) =>
            referrer.artifactType === SBOM_MEDIA_TYPES[format] &&
            isOf(referrer.annotations, platformKey, target === of.digest ? null : of.platform),
        );
        if (!found) missing.push({ of, subject: target, format });
      }
    }
  }
  return missing;
}

/** Matches an SBOM with a platform; null: any, as on its own manifest. */
function isOf(annotations: SbomReferrer['annotations'], key: string | undefined, platform: string | null): boolean {
  if (key === undefined) return true;
  return platform === null ? Object.hasOwn(annotations, key) : annotations[key] === platform;
}

/** Builds the annotations of an SBOM; none when the prefix is empty. */
export function sbomAnnotations(
  document: {
    readonly format: SbomFormat;
    readonly platform: string;
    readonly subject: Digest;
    readonly toolVersion: string | null;
    /** ISO 8601, an input, so that a repeated step writes the same referrer. */
    readonly timestamp: string;
  },
  prefix: string,
): Record<string, string> {
  const keys = prefixedKeys(prefix);
  if (keys === null) return {};
  return {
    [keys.sbomTool]: 'syft',
    ...(document.toolVersion === null ? {} : { [keys.sbomToolVersion]: document.toolVersion }),
    [keys.sbomFormat]: document.format,
    [keys.sbomTimestamp]: document.timestamp,
    [keys.sbomSubject]: document.subject,
    [keys.sbomPlatform]: document.platform,
    [keys.operation]: operationKey('sbom', document.subject, document.platform, document.format, document.toolVersion),
  };
}

/** Hashes what decides an SBOM (docs/rules/evidence.md#repeated-evidence-is-recognised). */
function operationKey(...parts: (string | null)[]): string {
  return `sha256:${bytesToHex(sha256(utf8ToBytes(JSON.stringify(parts))))}`;
}
