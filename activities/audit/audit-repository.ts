import pLimit from 'p-limit';
import type { Trust } from '../../adapters/cosign.js';
import type { Manifest, ReferrerDescriptor } from '../../adapters/registry.js';
import type { Digest } from '../../domain/digest.js';
import type { AuditInput } from '../../domain/durable/audit.js';
import { reportError } from '../../domain/errors.js';
import { ANY_BUNDLE } from '../../domain/evidence/attestation.js';
import { TRANSFORM_PREDICATE_TYPE } from '../../domain/evidence/predicates.js';
import { PROVENANCE_PREDICATE_TYPE } from '../../domain/evidence/provenance.js';
import { SBOM_MEDIA_TYPES } from '../../domain/evidence/sbom.js';
import {
  newestReport,
  newestReportFirst,
  readDatedScan,
  SCAN_PREDICATE_TYPE,
  staleness,
} from '../../domain/evidence/scan.js';
import { formatInstant } from '../../domain/instant.js';
import { parseManifest } from '../../domain/manifest.js';
import { PAGE_SIZES } from '../../domain/plan/work.js';
import { formatTagged, isEvidenceTag, isTag } from '../../domain/reference.js';
import {
  type AuditOutcome,
  type AuditPart,
  auditPart,
  NO_SCAN,
  unreadOutcome,
} from '../../domain/report/audit-report.js';
import type { DestinationRepository } from '../../domain/roster.js';
import { type RecordedStamp, readStamp } from '../../domain/stamp/annotations.js';
import { prefixedKeys } from '../../domain/stamp/keys.js';
import { stampOf } from '../../domain/stamp/stamp-of.js';
import { compareText } from '../../domain/text/compare-text.js';
import type { Dependencies } from '../dependencies.js';
import { readBundles } from '../evidence/read-bundles.js';
import { confirmAbsent, type RepositoryAt, repositoryAt } from '../repository/repository-at.js';
import { type StepContext, step } from '../step.js';
import { placesOf } from '../sweep/walk-registries.js';

export interface OpenedAudit {
  /** Names of the roster, each place once. */
  readonly registries: readonly string[];
  readonly hosts: readonly string[];
  /** Names of the roster: only sources, and nobody asked for them. Workers of earlier versions leave it out. */
  readonly sourcesSkipped?: readonly string[];
  /** Whether signatures are verified: asked for, and the settings name a trusted signer. */
  readonly verified: boolean;
  readonly concurrency: number;
}

/** Resolves the registries of an audit and reads the verification key. @throws HoubaError `ConfigInvalid` */
export function createOpenAudit(deps: Dependencies) {
  return step(async (input: AuditInput, { signal }): Promise<OpenedAudit> => {
    const { registries, repositories } = input;
    const all = [...deps.roster.values()];
    const entries = placesOf(deps, registries, repositories);
    return {
      registries: entries.map(({ name }) => name),
      hosts: [...new Set(entries.map(({ host }) => host))],
      sourcesSkipped: registries === null ? all.flatMap(({ name, sourceOnly }) => (sourceOnly ? [name] : [])) : [],
      verified: isVerifying(input) && (await deps.readTrust(signal)) !== null,
      concurrency: deps.settings.maxConcurrency,
    };
  });
}

function isVerifying({ signed, scanned }: Pick<AuditInput, 'signed' | 'scanned'>): boolean {
  return signed || scanned === true;
}

export interface AuditRequest extends Pick<AuditInput, 'signed' | 'sbom' | 'scanned' | 'maxAgeMs' | 'limit'> {
  readonly repository: DestinationRepository;
}

/** Largest bundle read, in bytes: an audit reads only statements about the whole image, which are small. */
const LARGEST_BUNDLE = 8 * 1024 * 1024;
const ABOUT_A_SCAN: ReadonlySet<string> = new Set([SCAN_PREDICATE_TYPE]);
const ABOUT_THE_IMAGE: ReadonlySet<string> = new Set([TRANSFORM_PREDICATE_TYPE, PROVENANCE_PREDICATE_TYPE]);
const SBOM_TYPES: ReadonlySet<string> = new Set(Object.values(SBOM_MEDIA_TYPES));

/**
 * Audits every tag of a repository, each digest once (docs/rules/reports.md#an-audit-names-the-worst-gap-first). An
 * image that cannot be read is an outcome and stops nothing else. @throws HoubaError `ConfigInvalid`, and what listing
 * the tags throws
 */
export function createAuditRepository(deps: Dependencies) {
  return step(async (request: AuditRequest, context): Promise<AuditPart> => {
    const { repository, limit } = request;
    const { signal } = context;
    const trust = isVerifying(request) ? await deps.readTrust(signal) : null;
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
        .map((tag) => width(() => outcomeOf(deps, at, probe, tag, context)));
      for (const one of await Promise.all(looked)) if (one !== null) outcomes.push(one);
    }
    return auditPart(outcomes, deps.reader.requestsUnder(signal));
  });
}

interface Facts {
  /** The stamp that covers a tag; null: the digest is not covered. */
  readonly stampFor: (tag: string) => RecordedStamp | null;
  readonly signed: boolean | null;
  readonly sbom: boolean | null;
  readonly scans: Pick<AuditOutcome, 'scan' | 'scanned_at'>;
}

type Probe = (shown: Manifest) => Promise<Facts>;

/** Audits one tag, read by one GET. @returns null: the tag is gone */
async function outcomeOf(
  { reader }: Dependencies,
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
    const shown = await reader.getManifest(at.repository, tag, signal);
    if (shown === null) {
      // A tag that one wrong answer hides would be missing from the audit.
      await confirmAbsent(at, tag);
      return null;
    }
    digest = shown.digest;
    const { stampFor, signed, sbom, scans } = await probe(shown);
    const stamp = stampFor(tag);
    const base = { image_ref, digest, covered: stamp !== null, policy: stamp?.policy ?? null };
    return { ...base, signed, sbom, ...scans, error: null };
  } catch (error) {
    signal.throwIfAborted();
    return unreadOutcome(image_ref, digest, reportError(error));
  }
}

/** Reads the facts of each digest once, however many tags show it. */
function createProbe({ cosign }: Dependencies, at: RepositoryAt, request: AuditRequest, trust: Trust | null): Probe {
  const { prefix, signal } = at;
  const { signed, sbom, scanned = false, maxAgeMs = null } = request;

  async function look({ digest, bytes, mediaType }: Manifest): Promise<Facts> {
    const manifest = parseManifest(bytes, mediaType);
    const stamp = readStamp(manifest.annotations, prefix);
    // With an empty prefix nothing beside an image can be told from what others attach.
    const asked = stamp === null ? prefix !== '' : signed || sbom || scanned;
    const referrers = asked ? await at.referrers(digest) : [];
    const ofAnyTag = stampOf(manifest, referrers, null, prefix);
    // An alias has no stamp of its own: the stamp of any tag on the digest covers it.
    const stampFor = (tag: string) => stampOf(manifest, referrers, tag, prefix) ?? ofAnyTag;
    if (ofAnyTag === null) return { stampFor, signed: null, sbom: null, scans: NO_SCAN };
    return {
      stampFor,
      signed: signed ? await isSigned(digest, referrers) : null,
      sbom: sbom ? referrers.some(({ artifactType }) => SBOM_TYPES.has(artifactType)) : null,
      scans: scanned ? await scansOf(digest, referrers) : NO_SCAN,
    };
  }

  async function isSigned(digest: Digest, referrers: readonly ReferrerDescriptor[]): Promise<boolean> {
    if (trust === null) return referrers.some(({ artifactType }) => artifactType.startsWith(ANY_BUNDLE));
    const bundles = readBundles(at, ownFirst(referrers, prefix), ABOUT_THE_IMAGE, LARGEST_BUNDLE);
    for await (const { content, predicateType } of bundles) {
      if ('fault' in content) continue;
      const { reason } = await cosign.verifyBundle(content.bytes, { digest, predicateType }, trust, signal);
      if (reason === undefined) return true;
    }
    return false;
  }

  /** Looks for one fresh scan; those that say to be the newest come first, so that one is mostly enough. */
  async function scansOf(digest: Digest, referrers: readonly ReferrerDescriptor[]): Promise<Facts['scans']> {
    const now = Date.now();
    if (trust === null) {
      const report = newestReport(referrers, prefix);
      if (report === null) return { scan: false, scanned_at: null };
      // Without a time nobody can say that it is fresh.
      const scan = maxAgeMs === null || (report.at !== null && staleness(report.at, maxAgeMs, now) === null);
      return { scan, scanned_at: report.at === null ? null : formatInstant(report.at) };
    }
    let freshest: number | null = null;
    const bundles = readBundles(at, newestReportFirst(referrers, prefix), ABOUT_A_SCAN, LARGEST_BUNDLE);
    for await (const { content, predicateType } of bundles) {
      if ('fault' in content) continue;
      const { predicate, reason } = await cosign.verifyBundle(content.bytes, { digest, predicateType }, trust, signal);
      const read = reason === undefined ? readDatedScan(predicate) : reason;
      if (typeof read === 'string') continue;
      if (staleness(read.at, maxAgeMs, now) === null) return { scan: true, scanned_at: formatInstant(read.at) };
      freshest = Math.max(freshest ?? read.at, read.at);
    }
    return { scan: false, scanned_at: freshest === null ? null : formatInstant(freshest) };
  }

  const known = new Map<Digest, Promise<Facts>>();
  return (shown) => {
    const { digest } = shown;
    const found = known.get(digest) ?? look(shown);
    known.set(digest, found);
    return found;
  };
}

/** Puts what says to be houba's first, so that nobody else's is read for nothing: upstream's provenance, for one. */
function ownFirst(referrers: readonly ReferrerDescriptor[], prefix: string): ReferrerDescriptor[] {
  const mark = prefixedKeys(prefix)?.operation;
  const isMarked = ({ annotations }: ReferrerDescriptor) => mark !== undefined && Object.hasOwn(annotations, mark);
  return [...referrers].sort((a, b) => Number(isMarked(b)) - Number(isMarked(a)));
}
