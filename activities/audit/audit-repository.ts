import pLimit from 'p-limit';
import type { Trust } from '../../adapters/cosign.js';
import type { ReferrerDescriptor } from '../../adapters/registry.js';
import type { Digest } from '../../domain/digest.js';
import type { AuditInput } from '../../domain/durable/audit.js';
import { reportError } from '../../domain/errors.js';
import { ANY_BUNDLE } from '../../domain/evidence/attestation.js';
import { TRANSFORM_PREDICATE_TYPE } from '../../domain/evidence/predicates.js';
import { PROVENANCE_PREDICATE_TYPE } from '../../domain/evidence/provenance.js';
import { SBOM_MEDIA_TYPES } from '../../domain/evidence/sbom.js';
import { PAGE_SIZES } from '../../domain/plan/work.js';
import { formatTagged, isEvidenceTag, isTag } from '../../domain/reference.js';
import { type AuditOutcome, type AuditPart, auditPart } from '../../domain/report/audit-report.js';
import type { DestinationRepository } from '../../domain/roster.js';
import { type RecordedStamp, readStamp } from '../../domain/stamp/annotations.js';
import { stampOf } from '../../domain/stamp/stamp-of.js';
import { compareText } from '../../domain/text/compare-text.js';
import type { Dependencies } from '../dependencies.js';
import { readBundles } from '../evidence/read-bundles.js';
import { type RepositoryAt, repositoryAt } from '../repository/repository-at.js';
import { type StepContext, step } from '../step.js';
import { placesOf } from '../sweep/walk-registries.js';

export interface OpenedAudit {
  /** Names of the roster, each place once. */
  readonly registries: readonly string[];
  readonly hosts: readonly string[];
  /** Whether signatures are verified: asked for, and the settings name a trusted signer. */
  readonly verified: boolean;
  readonly concurrency: number;
}

/** Resolves the registries of an audit and reads the verification key. @throws HoubaError `ConfigInvalid` */
export function createOpenAudit(deps: Dependencies) {
  return step(async ({ registries, repositories, signed }: AuditInput, { signal }): Promise<OpenedAudit> => {
    const entries = placesOf(deps, registries, repositories);
    return {
      registries: entries.map(({ name }) => name),
      hosts: [...new Set(entries.map(({ host }) => host))],
      verified: signed && (await deps.readTrust(signal)) !== null,
      concurrency: deps.settings.maxConcurrency,
    };
  });
}

export interface AuditRequest extends Pick<AuditInput, 'signed' | 'sbom' | 'limit'> {
  readonly repository: DestinationRepository;
}

/** Largest bundle read, in bytes: an audit reads only statements about the whole image, which are small. */
const LARGEST_BUNDLE = 8 * 1024 * 1024;
const ABOUT_THE_IMAGE: ReadonlySet<string> = new Set([TRANSFORM_PREDICATE_TYPE, PROVENANCE_PREDICATE_TYPE]);
const SBOM_TYPES: ReadonlySet<string> = new Set(Object.values(SBOM_MEDIA_TYPES));

/**
 * Audits every tag of a repository, each digest once (docs/rules/reports.md#an-audit-names-the-worst-gap-first). An
 * image that cannot be read is an outcome and stops nothing else. @throws HoubaError `ConfigInvalid`, and what listing
 * the tags throws
 */
export function createAuditRepository(deps: Dependencies) {
  return step(async (request: AuditRequest, context): Promise<AuditPart> => {
    const { repository, signed, limit } = request;
    const { signal } = context;
    const trust = signed ? await deps.readTrust(signal) : null;
    const at = repositoryAt(deps, repository, signal);
    const probe = createProbe(deps, at, request, trust);
    const listed = ((await deps.reader.listTags(repository, signal)) ?? [])
      .filter((tag) => isTag(tag) && !isEvidenceTag(tag))
      .sort(compareText);
    const outcomes: AuditOutcome[] = [];
    const width = pLimit(deps.settings.maxConcurrency);
    const tags = limit === null ? listed : listed.slice(0, limit);
    for (let start = 0; start < tags.length; start += PAGE_SIZES.audit) {
      const looked = tags
        .slice(start, start + PAGE_SIZES.audit)
        .map((tag) => width(() => outcomeOf(at, probe, tag, context)));
      for (const one of await Promise.all(looked)) if (one !== null) outcomes.push(one);
    }
    return auditPart(outcomes);
  });
}

interface Facts {
  /** The stamp that covers a tag; null: the digest is not covered. */
  readonly stampFor: (tag: string) => RecordedStamp | null;
  readonly signed: boolean | null;
  readonly sbom: boolean | null;
}

type Probe = (digest: Digest) => Promise<Facts>;

/** Audits one tag. @returns null: the tag is gone */
async function outcomeOf(
  at: RepositoryAt,
  probe: Probe,
  tag: string,
  { signal, progress }: StepContext,
): Promise<AuditOutcome | null> {
  signal.throwIfAborted();
  const image_ref = formatTagged(at.repository, tag);
  progress({ image: image_ref });
  let digest: Digest | null = null;
  try {
    // A tag that one wrong answer hides would be missing from the audit.
    digest = await at.find(tag);
    if (digest === null) return null;
    const { stampFor, signed, sbom } = await probe(digest);
    const stamp = stampFor(tag);
    const base = { image_ref, digest, covered: stamp !== null, policy: stamp?.policy ?? null };
    return { ...base, signed, sbom, error: null };
  } catch (error) {
    signal.throwIfAborted();
    return { image_ref, digest, covered: null, signed: null, sbom: null, policy: null, error: reportError(error) };
  }
}

/** Reads the facts of each digest once, however many tags show it. */
function createProbe({ cosign }: Dependencies, at: RepositoryAt, request: AuditRequest, trust: Trust | null): Probe {
  const { prefix, signal } = at;

  async function look(digest: Digest): Promise<Facts> {
    const { manifest } = await at.manifest(digest);
    const stamp = readStamp(manifest.annotations, prefix);
    // With an empty prefix nothing beside an image can be told from what others attach.
    const asked = stamp === null ? prefix !== '' : request.signed || request.sbom;
    const referrers = asked ? await at.referrers(digest) : [];
    const ofAnyTag = stampOf(manifest, referrers, null, prefix);
    // An alias has no stamp of its own: the stamp of any tag on the digest covers it.
    const stampFor = (tag: string) => stampOf(manifest, referrers, tag, prefix) ?? ofAnyTag;
    if (ofAnyTag === null) return { stampFor, signed: null, sbom: null };
    return {
      stampFor,
      signed: request.signed ? await isSigned(digest, referrers) : null,
      sbom: request.sbom ? referrers.some(({ artifactType }) => SBOM_TYPES.has(artifactType)) : null,
    };
  }

  async function isSigned(digest: Digest, referrers: readonly ReferrerDescriptor[]): Promise<boolean> {
    if (trust === null) return referrers.some(({ artifactType }) => artifactType.startsWith(ANY_BUNDLE));
    const bundles = readBundles(at, referrers, ABOUT_THE_IMAGE, LARGEST_BUNDLE);
    for await (const { content, predicateType } of bundles) {
      if ('fault' in content) continue;
      const { reason } = await cosign.verifyBundle(content.bytes, { digest, predicateType }, trust, signal);
      if (reason === undefined) return true;
    }
    return false;
  }

  const known = new Map<Digest, Promise<Facts>>();
  return (digest) => {
    const found = known.get(digest) ?? look(digest);
    known.set(digest, found);
    return found;
  };
}
