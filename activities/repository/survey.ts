import type { DigestFacts, StampBeside } from '../../adapters/digest-memory.js';
import type { RegistryReader } from '../../adapters/registry.js';
import type { Digest } from '../../domain/digest.js';
import { HoubaError } from '../../domain/errors.js';
import { missingAttestations, type StatementIdentity } from '../../domain/evidence/attestation.js';
import { missingSboms, type SbomFormat } from '../../domain/evidence/sbom.js';
import { type PlacedMark, readMarks } from '../../domain/lifecycle/mark.js';
import type { SeenRepository, SeenTag, SourceDigests } from '../../domain/plan/survey.js';
import { formatRepository, isEvidenceTag, isTag, type Repository } from '../../domain/reference.js';
import { readStamp } from '../../domain/stamp/annotations.js';
import type { Dependencies } from '../dependencies.js';
import { youngestStamps } from './digest-facts.js';
import { rememberMarks } from './marks.js';
import { readPlatforms } from './read-manifest.js';
import { referrersOf } from './referrers.js';
import { type RepositoryAt, repositoryAt } from './repository-at.js';

interface Looking {
  readonly signal: AbortSignal;
  readonly width: number;
  readonly onTag: () => void;
}

/** Lists the source's tags. @throws `NotFound`, `PreconditionFailed` (docs/rules/plan.md#an-empty-source-is-no-wish) */
export async function listSourceTags(
  reader: RegistryReader,
  source: Repository,
  signal: AbortSignal,
): Promise<string[]> {
  const tags = await reader.listTags(source, signal);
  if (tags === null) {
    throw new HoubaError('NotFound', `the source ${formatRepository(source)} is unknown to its registry`, {
      hint: 'check spec.source, and the credentials if the repository is private',
    });
  }
  if (tags.length === 0) {
    throw new HoubaError('PreconditionFailed', `the source ${formatRepository(source)} lists no tags`, {
      hint: 'nothing is done while upstream is empty; look at it there',
    });
  }
  return tags;
}

interface SurveyedSource {
  readonly digests: SourceDigests;
  /** Tags that were resolved by GET, which may count as a pull, for want of HEAD. */
  readonly byGet: number;
}

/** Resolves each tag of the source by one HEAD, where it answers any. */
export async function surveySource(
  reader: RegistryReader,
  source: Repository,
  tags: readonly string[],
  looking: Looking,
): Promise<SurveyedSource> {
  const digests = new Map<string, Digest | null>();
  let byGet = 0;
  await forEach(tags, looking, async (tag) => {
    const found = await reader.headListed(source, tag, looking.signal);
    digests.set(tag, found?.digest ?? null);
    if (found?.byGet === true) byGet += 1;
  });
  return { digests, byGet };
}

/** The evidence that a stamped digest needs to be complete. */
interface WantedEvidence {
  readonly sboms: readonly SbomFormat[];
  readonly signed: boolean;
}

/**
 * Surveys a destination: one HEAD a tag, and the evidence of each digest that is not remembered as complete; also of what
 * was just placed (docs/rules/registry-access.md#what-was-just-written-is-known-without-reading). @param how
 * `needsSbom`: these are images; `recheck`: read the evidence of every digest
 */
export async function surveyDestination(
  deps: Dependencies,
  repository: Repository,
  { needsSbom, recheck }: { readonly needsSbom: boolean; readonly recheck: boolean },
  looking: Looking,
): Promise<SeenRepository> {
  const { sbomFormats, attest } = deps.settings;
  const wanted: WantedEvidence = { sboms: needsSbom ? sbomFormats : [], signed: attest.signer !== '' };
  const at = repositoryAt(deps, repository, looking.signal);
  // A list may lack for a while what was just placed.
  const [list, placed] = await Promise.all([
    deps.reader.listTagsToWrite(repository, looking.signal),
    deps.placedSince(repository, Date.now() - deps.readBackMs),
  ]);
  const listed = [...new Set([...(list ?? []), ...placed.map(({ tag }) => tag)])];
  const tags = new Map<string, SeenTag>();
  const marks = new Map<Digest, readonly PlacedMark[]>();
  const closer = new Map<Digest, Promise<DigestFacts>>();
  await forEach(
    listed.filter((tag) => isTag(tag) && !isEvidenceTag(tag)),
    looking,
    async (tag) => {
      const digest = (await deps.reader.headListed(repository, tag, looking.signal))?.digest ?? null;
      if (digest === null) return;
      const facts = recheck ? undefined : deps.memory.facts(repository, digest);
      const known = facts && seenAs(facts, digest, tag, wanted);
      if (facts?.marks && known?.sbomComplete && known.attested) {
        tags.set(tag, known);
        marks.set(digest, await currentMarks(deps, at, digest, facts));
        return;
      }
      const look = closer.get(digest) ?? lookCloser(deps, at, digest, wanted);
      closer.set(digest, look);
      const found = await look;
      tags.set(tag, seenAs(found, digest, tag, wanted));
      marks.set(digest, found.marks ?? []);
    },
  );
  return { repository, tags, marks };
}

/** How long remembered marks are believed: another worker's mark that is not seen lets a wanted tag go in the end. */
const MARKS_KEEP_MS = 6 * 3_600_000;

async function currentMarks(
  deps: Dependencies,
  at: RepositoryAt,
  digest: Digest,
  { marks, marksAt = 0 }: DigestFacts,
): Promise<readonly PlacedMark[]> {
  const age = Date.now() - marksAt;
  if (marks !== null && age >= 0 && age < MARKS_KEEP_MS) return marks;
  const read = await at.marks(digest);
  rememberMarks(deps, at.repository, digest, read);
  return read;
}

/** Describes a tag by the known facts of its digest (docs/rules/stamp.md#the-stamp-of-a-tag). */
function seenAs(facts: DigestFacts, digest: Digest, tag: string, wanted: WantedEvidence): SeenTag {
  const { sbomFormats, signedFormats } = facts;
  const beside = facts.stampsBeside.find((one) => one.tag === tag);
  const stamp = facts.stamp ?? beside?.stamp ?? null;
  if (stamp === null) return { digest, stamp, sbomComplete: true, attested: true };
  const signed = signedFormats !== null && covers(signedFormats, wanted.sboms) && (beside?.signed ?? true);
  return { digest, stamp, sbomComplete: covers(sbomFormats, wanted.sboms), attested: !wanted.signed || signed };
}

/** Reads stamps, SBOMs, signatures and marks of a digest, with one listing of referrers for each manifest. */
async function lookCloser(
  { memory }: Dependencies,
  at: RepositoryAt,
  digest: Digest,
  { sboms, signed }: WantedEvidence,
): Promise<DigestFacts> {
  const { prefix } = at;
  const { manifest } = await at.manifest(digest);
  const stamp = readStamp(manifest.annotations, prefix);
  // With an empty prefix there are no stamps beside an image.
  const listed = stamp !== null || prefix !== '' ? await at.referrers(digest) : [];
  const stamps = stamp === null ? youngestStamps(listed, prefix) : [];
  const marks = readMarks(digest, listed, prefix);
  const marksAt = Date.now();
  let facts: DigestFacts = { stamp, stampsBeside: stamps, sbomFormats: [], signedFormats: null, marks, marksAt };
  if ((sboms.length > 0 || signed) && (stamp !== null || stamps.length > 0)) {
    const platforms = await readPlatforms(at, digest);
    const referrers = await referrersOf(at, digest, platforms, listed);
    const isInventoried = missingSboms(digest, platforms, sboms, referrers, prefix).length === 0;
    const isSigned = (identity: StatementIdentity | null) =>
      signed && missingAttestations(digest, platforms, sboms, referrers, prefix, identity).length === 0;
    facts = {
      stamp,
      stampsBeside: stamps.map((beside) => ({ ...beside, signed: isSigned(identityOf(beside)) })),
      sbomFormats: isInventoried ? sboms : [],
      signedFormats: isSigned(null) ? sboms : null,
      ...{ marks, marksAt },
    };
  }
  memory.rememberFacts(at.repository, digest, facts);
  return facts;
}

/** The identity of the signed statements about an image with its stamp beside it: several tags may show it. */
function identityOf({ tag, stamp }: StampBeside): StatementIdentity {
  const { policy, import: name, variant } = stamp;
  return { tag, policy: policy ?? '', import: name ?? '', variant: variant ?? '' };
}

function covers(have: readonly SbomFormat[], want: readonly SbomFormat[]): boolean {
  return want.every((format) => have.includes(format));
}

/** Works through the items with a fixed number in flight; the first error stops the rest. */
async function forEach(
  items: readonly string[],
  { width, onTag, signal }: Looking,
  work: (item: string) => Promise<void>,
): Promise<void> {
  let next = 0;
  const lane = async () => {
    while (next < items.length) {
      signal.throwIfAborted();
      const item = items[next++] as string;
      try {
        await work(item);
      } catch (error) {
        next = items.length;
        throw error;
      }
      onTag();
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, lane));
}
