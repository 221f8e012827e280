import type { Digest } from '../digest.js';
import type { ParsedManifest } from '../manifest.js';
import { compareText } from '../text/compare-text.js';
import { type RecordedStamp, readStamp } from './annotations.js';
import { prefixedKeys, STAMP_ARTIFACT_TYPE } from './keys.js';

export interface StampReferrer {
  readonly digest: Digest;
  readonly artifactType: string;
  readonly annotations: Readonly<Record<string, string>>;
}

/** A stamp that is an artifact beside the image. */
export interface StampBeside<Referrer extends StampReferrer = StampReferrer> {
  readonly tag: string;
  readonly stamp: RecordedStamp;
  readonly referrer: Referrer;
}

/**
 * Finds the stamp of a tag: on its manifest, else the youngest beside it (docs/rules/stamp.md#the-stamp-of-a-tag).
 * @param tag null: the youngest of any tag counts. Never ask so before a tag is deleted
 */
export function stampOf(
  manifest: Pick<ParsedManifest, 'annotations'>,
  referrers: readonly StampReferrer[],
  tag: string | null,
  prefix: string,
): RecordedStamp | null {
  return readStamp(manifest.annotations, prefix) ?? stampBeside(referrers, tag, prefix)?.stamp ?? null;
}

/** Finds the youngest stamp beside an image, with the tag that it names. */
export function stampBeside<Referrer extends StampReferrer>(
  referrers: readonly Referrer[],
  tag: string | null,
  prefix: string,
): StampBeside<Referrer> | null {
  return stampsBeside(referrers, prefix).findLast((one) => tag === null || one.tag === tag) ?? null;
}

/** Lists all stamps beside an image, replaced ones too, oldest first. */
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

/** Sorts after every digit: a stamp without a time counts as the youngest. */
const NO_TIME = '~';

function ageKey({ stamp, referrer }: StampBeside): string {
  return `${stamp.created ?? NO_TIME} ${referrer.digest}`;
}
