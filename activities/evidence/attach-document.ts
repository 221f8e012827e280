import type { Cosign } from '../../adapters/cosign.js';
import type { Regctl } from '../../adapters/regctl.js';
import type { RegistryReader } from '../../adapters/registry.js';
import type { Digest } from '../../domain/digest.js';
import { EXIT_CODES, HoubaError, knownError } from '../../domain/errors.js';
import type { AttachReport, SignedStatement } from '../../domain/evidence/attach/attach-report.js';
import {
  type AttachedStatement,
  type Attachment,
  artifactOf,
  factsOf,
  makerOf,
  statementsOf,
} from '../../domain/evidence/attach/attachment.js';
import { bundleArtifact } from '../../domain/evidence/attestation.js';
import { buildStatement, type StatementSubject } from '../../domain/evidence/statement.js';
import { formatInstant } from '../../domain/instant.js';
import { isPlatform } from '../../domain/platform.js';
import { formatPinned, formatRepository, formatTagged, type Reference } from '../../domain/reference.js';
import { attachReferrer } from '../repository/attach-referrer.js';
import { readPlatforms } from '../repository/read-manifest.js';
import { type RepositoryAt, repositoryAt } from '../repository/repository-at.js';

/** What attaches; made for one command, without Temporal. */
export interface Attacher {
  readonly reader: RegistryReader;
  readonly regctl: Regctl;
  readonly prefix: string;
  readonly builderId: string;
  readonly readBackMs: number;
  /** null: no signer is set. @throws HoubaError `ToolMissing` */
  readonly openSigner: (() => Promise<Pick<Cosign, 'signStatement'>>) | null;
}

export interface AttachRequest {
  /** The reference as a person wrote it. */
  readonly ref: string;
  readonly reference: Reference;
  /** `os/architecture[/variant]`; null: what the reference names. */
  readonly platform: string | null;
  readonly attachment: Attachment;
  /** ms since 1970. */
  readonly now: number;
  readonly dryRun: boolean;
}

export interface Attached {
  readonly report: AttachReport;
  /** Why a statement was not made that somebody may expect. */
  readonly unsigned: readonly string[];
}

/**
 * Attaches a document to an image, and the signed statements about it where a signer is set
 * (docs/rules/evidence.md#attached-first-signed-after). @throws HoubaError `NotFound`, and what reading, writing and signing
 * throw; once the document is attached, with an exit code of 2 and its digest in the message
 */
export async function attachDocument(
  attacher: Attacher,
  request: AttachRequest,
  signal: AbortSignal,
): Promise<Attached> {
  const { reader, prefix, openSigner } = attacher;
  const { ref, reference, attachment, now, dryRun } = request;
  const at = repositoryAt({ reader, settings: { prefix } }, reference, signal);
  const subject = await findSubject(at, request);
  const report: AttachReport = {
    schemaVersion: 1,
    mode: dryRun ? 'dry-run' : 'apply',
    ref,
    subjectDigest: subject.digest,
    referrerDigest: null,
    ...{ tool: makerOf(attachment).tool, toolVersion: makerOf(attachment).toolVersion, format: attachment.format },
    facts: factsOf(attachment),
    timestamp: formatInstant(now),
    ...{ attestation: null, vulnsAttestation: null },
  };
  if (dryRun) return { report, unsigned: [] };
  const raw = await attachReferrer(attacher, at, subject.digest, artifactOf(attachment, subject.digest, now, prefix));
  const attached = { ...report, referrerDigest: raw };
  if (openSigner === null) return { report: attached, unsigned: ['HOUBA_ATTEST_SIGNER is empty'] };
  const { main, vulns } = statementsOf(attachment, raw, { ...attacher, at: now });
  try {
    const signer = await openSigner();
    const sign = (statement: AttachedStatement) => attachSigned(attacher, signer, at, { subject, statement });
    const attestation = await sign(main);
    const isMade = vulns !== null && typeof vulns !== 'string';
    return {
      report: { ...attached, attestation, vulnsAttestation: isMade ? await sign(vulns) : null },
      unsigned: typeof vulns === 'string' ? [`no vulnerability statement: ${vulns}`] : [],
    };
  } catch (error) {
    signal.throwIfAborted();
    throw leftUnsigned(error, formatPinned(at.repository, raw));
  }
}

/** Resolves what the document is about (docs/rules/registry-access.md#one-resolution). @throws HoubaError `NotFound` */
async function findSubject(at: RepositoryAt, { ref, reference, platform }: AttachRequest): Promise<StatementSubject> {
  const { tag, digest: pin } = reference;
  const found = await at.findManifest(pin ?? tag ?? '');
  if (found === null) {
    throw new HoubaError('NotFound', `there is no ${ref}`, {
      hint: `look at what ${formatRepository(reference)} holds`,
      facts: { registry: reference.host },
    });
  }
  const { digest } = found.raw;
  if (platform !== null) return pinned(at, await findPlatform(at, digest, ref, platform));
  return tag === null ? pinned(at, digest) : { name: formatTagged(reference, tag), digest };
}

function pinned({ repository }: RepositoryAt, digest: Digest): StatementSubject {
  return { name: formatPinned(repository, digest), digest };
}

async function findPlatform(at: RepositoryAt, image: Digest, ref: string, platform: string): Promise<Digest> {
  const all = await readPlatforms(at, image);
  const [found, ...others] = all.filter((one) => isPlatform(one.platform, platform));
  if (found !== undefined && others.length === 0) return found.digest;
  const has = [...new Set(all.map((one) => one.platform))].join(', ') || 'none';
  throw found === undefined
    ? new HoubaError('NotFound', `${ref} has no ${platform}`, { hint: `it has: ${has}` })
    : new HoubaError('NotFound', `${ref} has ${others.length + 1} images for ${platform}`, {
        hint: `name the one that was scanned by its digest: ${[found, ...others].map((one) => one.digest).join(', ')}`,
      });
}

async function attachSigned(
  attacher: Attacher,
  signer: Pick<Cosign, 'signStatement'>,
  at: RepositoryAt,
  { subject, statement }: { readonly subject: StatementSubject; readonly statement: AttachedStatement },
): Promise<SignedStatement> {
  const { predicateType, predicate, annotations } = statement;
  const bytes = await signer.signStatement(buildStatement([subject], predicateType, predicate), at.signal);
  const artifact = bundleArtifact(bytes, annotations, at.prefix);
  return { predicateType, referrerDigest: await attachReferrer(attacher, at, subject.digest, artifact) };
}

/** Says that a document is attached although its statements are not; exit code 2, whatever the reason. */
function leftUnsigned(error: unknown, raw: string): unknown {
  const known = knownError(error);
  if (known === null) return error;
  const code = EXIT_CODES[known.code] === 2 ? known.code : 'ToolFailed';
  return new HoubaError(code, `the document is attached as ${raw}, but not all of it is signed: ${known.message}`, {
    cause: known,
    facts: known.facts,
    ...(known.hint === undefined ? {} : { hint: known.hint }),
  });
}
