import type { Digest } from '../digest.js';
import type { ParsedManifest } from '../manifest.js';
import { compareText } from '../text/compare-text.js';
import { type RecordedStamp, readStamp } from './annotations.js';
import { prefixedKeys, STAMP_ARTIFACT_TYPE } from './keys.js';

/** As much of a referrer as tells whether it is a stamp. */
export interface StampReferrer {
  readonly digest: Digest;
  readonly artifactType: string;
  readonly annotations: Readonly<Record<string, string>>;
}

/** A stamp in an artifact beside the image. */
export interface StampBeside<Referrer extends StampReferrer = StampReferrer> {
  readonly tag: string;
  readonly stamp: RecordedStamp;
  readonly referrer: Referrer;
}

/**
 * The stamp of a tag (docs/rules/stamp.md#the-stamp-of-a-tag): on the manifest that the tag shows, else the youngest beside it that
 * names the tag. An alias has none of its own.
 *
 * @param referrers of the manifest; they decide nothing where it bears a stamp itself
 * @param tag null: only the digest is known, and the youngest of any tag counts. Never ask so before a tag is deleted
 */
export function stampOf(
  manifest: Pick<ParsedManifest, 'annotations'>,
  referrers: readonly StampReferrer[],
  tag: string | null,
  prefix: string,
): RecordedStamp | null {
  return readStamp(manifest.annotations, prefix) ?? stampBeside(referrers, tag, prefix)?.stamp ?? null;
}

/** The second half of `stampOf`, with the tag that the stamp is about. */
export function stampBeside<Referrer extends StampReferrer>(
  referrers: readonly Referrer[],
  tag: string | null,
  prefix: string,
): StampBeside<Referrer> | null {
  return stampsBeside(referrers, prefix).findLast((one) => tag === null || one.tag === tag) ?? null;
}

/** Lists all stamps beside an image, also those that a newer one of the same tag replaces, oldest first. */
export function stampsBeside<Referrer extends StampReferrer>(
  referrers: readonly Referrer[],
  prefix: string,
): StampBeside<Referrer>[] {
  const tagKey = prefixedKeys(prefix)?.tag;
  if (tagKey === undefined) return [];
  return referrers
    .flatMap((referrer) => {
      if (referrer.artifactType !== STAMP_ARTIFACT_TYPE || !Object.hasOwn(referrer.annotations, tagKey)) return [];
      const stamp = readStamp(referrer.annotations, prefix, 'referrer');
      return stamp === null ? [] : [{ tag: referrer.annotations[tagKey] as string, stamp, referrer }];
    })
    .sort((a, b) => compareText(ageKey(a), ageKey(b)));
}

/** After every digit: what does not say when it was made counts as the youngest, so that it is not taken for old. */
const NO_TIME = '~';

function ageKey({ stamp, referrer }: StampBeside): string {
  return `${stamp.created ?? NO_TIME} ${referrer.digest}`;
}
