import type { Manifest, ReferrerDescriptor, RegistryReader } from '../../adapters/registry.js';
import { type Digest, isDigest } from '../../domain/digest.js';
import { HoubaError } from '../../domain/errors.js';
import { type PlacedMark, readMarks } from '../../domain/lifecycle/mark.js';
import { type ParsedManifest, parseManifest } from '../../domain/manifest.js';
import { formatPinned, formatTagged, type Repository } from '../../domain/reference.js';
import { type RecordedStamp, readStamp } from '../../domain/stamp/annotations.js';
import { stampBeside } from '../../domain/stamp/stamp-of.js';

/** A repository as one activity reads it: every request ends when the activity is cancelled. */
export interface RepositoryAt<Where extends Repository = Repository> {
  readonly repository: Where;
  readonly prefix: string;
  readonly signal: AbortSignal;
  /** The digest of a tag or digest, by one HEAD; null: it is not there. */
  head(reference: string): Promise<Digest | null>;
  /** As `head`, but null only when GET finds nothing either (docs/rules/registry-access.md#absence-is-shown-twice). */
  find(reference: string): Promise<Digest | null>;
  /** @throws HoubaError `NotFound`, and what `parseManifest` throws */
  manifest(digest: Digest): Promise<ReadManifest>;
  /** As `manifest`, of a tag or a digest; null: it is not there. */
  findManifest(reference: string): Promise<ReadManifest | null>;
  /** @param largest bytes. @throws HoubaError `NotFound`; `Unsupported` when it is larger */
  blob(digest: Digest, largest: number): Promise<Uint8Array>;
  referrers(subject: Digest): Promise<ReferrerDescriptor[]>;
  marks(subject: Digest): Promise<PlacedMark[]>;
  /** The stamp of a tag that shows this (docs/rules/stamp.md#the-stamp-of-a-tag). */
  stampOf(shown: ReadManifest, tag: string | null): Promise<RecordedStamp | null>;
}

interface ReadManifest {
  readonly raw: Manifest;
  readonly manifest: ParsedManifest;
}

interface ReadingDependencies {
  readonly reader: RegistryReader;
  readonly settings: { readonly prefix: string };
}

export function repositoryAt<Where extends Repository>(
  { reader, settings: { prefix } }: ReadingDependencies,
  repository: Where,
  signal: AbortSignal,
): RepositoryAt<Where> {
  async function findManifest(reference: string): Promise<ReadManifest | null> {
    const raw = await reader.getManifest(repository, reference, signal);
    return raw && { raw, manifest: parseManifest(raw.bytes, raw.mediaType) };
  }
  const head = async (reference: string) => (await reader.headManifest(repository, reference, signal))?.digest ?? null;
  const referrers = (subject: Digest) => reader.listReferrers(repository, subject, {}, signal);
  return {
    ...{ repository, prefix, signal, findManifest, referrers, head },
    find: async (reference) =>
      (await head(reference)) ?? (await reader.getManifest(repository, reference, signal))?.digest ?? null,
    async manifest(digest) {
      const found = await findManifest(digest);
      if (found !== null) return found;
      throw new HoubaError('NotFound', `there is no ${formatPinned(repository, digest)}`);
    },
    blob: (digest, largest) => reader.getBlob(repository, digest, largest, signal),
    marks: async (subject) => readMarks(subject, await referrers(subject), prefix),
    async stampOf({ raw, manifest }, tag) {
      const own = readStamp(manifest.annotations, prefix);
      if (own !== null || prefix === '') return own;
      return stampBeside(await referrers(raw.digest), tag, prefix)?.stamp ?? null;
    },
  };
}

/**
 * Confirms that what GET did not find is absent (docs/rules/registry-access.md#absence-is-shown-twice). @throws HoubaError
 * `RegistryUnavailable` when HEAD finds it
 */
export async function confirmAbsent({ repository, head }: RepositoryAt, reference: string): Promise<void> {
  if ((await head(reference)) === null) return;
  const name = isDigest(reference) ? formatPinned(repository, reference) : formatTagged(repository, reference);
  throw new HoubaError('RegistryUnavailable', `${name} is there for HEAD, but not for GET`, {
    hint: 'nothing is done while the registry contradicts itself',
  });
}
