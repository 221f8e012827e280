import { utf8ToBytes } from '@noble/hashes/utils.js';
import type { Digest } from '../digest.js';
import { HoubaError } from '../errors.js';
import type { Descriptor, ParsedIndex } from '../manifest.js';
import { isPlatform, platformText } from '../platform.js';

export interface Subset {
  readonly bytes: Uint8Array;
  readonly children: readonly Descriptor[];
}

/**
 * Builds the index of exactly these platforms (docs/rules/stamp.md#a-subset-is-upstreams-own).
 * @param bytes what `index` was parsed from
 * @throws HoubaError `PolicyInvalid` naming the platforms that it has
 */
export function subsetIndex(bytes: Uint8Array, index: ParsedIndex, platforms: readonly string[], name: string): Subset {
  const has = index.manifests.map((child) => (child.platform === undefined ? null : platformText(child.platform)));
  requirePlatforms(
    has.filter((platform) => platform !== null),
    platforms,
    name,
  );
  const isTaken = (position: number) => {
    const platform = has[position] ?? null;
    return platform !== null && platforms.some((asked) => isPlatform(platform, asked));
  };
  const document = JSON.parse(new TextDecoder().decode(bytes)) as { manifests: unknown[] };
  const manifests = document.manifests.filter((_, position) => isTaken(position));
  return {
    bytes: utf8ToBytes(JSON.stringify({ ...document, manifests })),
    children: index.manifests.filter((_, position) => isTaken(position)),
  };
}

/** Builds the index without some children (docs/rules/stamp.md#a-lost-attestation-is-left-out). */
export function indexWithout(bytes: Uint8Array, index: ParsedIndex, lost: readonly Digest[]): Subset {
  const document = JSON.parse(new TextDecoder().decode(bytes)) as { manifests: unknown[] };
  const stays = (position: number) => !lost.includes(index.manifests[position]?.digest as Digest);
  const manifests = document.manifests.filter((_, position) => stays(position));
  return {
    bytes: utf8ToBytes(JSON.stringify({ ...document, manifests })),
    children: index.manifests.filter((_, position) => stays(position)),
  };
}

/** @throws HoubaError `PolicyInvalid` when a requested platform is missing */
export function requirePlatforms(has: readonly string[], asked: readonly string[], name: string): void {
  const lacking = asked.filter((platform) => !has.some((one) => isPlatform(one, platform)));
  if (lacking.length === 0) return;
  const real = has.filter((platform) => !platform.startsWith('unknown/'));
  throw new HoubaError('PolicyInvalid', `${name} has no platform ${lacking.join(', ')}`, {
    hint: real.length === 0 ? 'it names no platform at all' : `it has: ${real.join(', ')}`,
  });
}
