import type { Trust } from '../../adapters/cosign.js';
import type { ReferrerDescriptor } from '../../adapters/registry.js';
import { type Digest, isDigest } from '../../domain/digest.js';
import { VULNS_PREDICATE_TYPE } from '../../domain/evidence/attach/vulns.js';
import { readScanBundle, SCAN_PREDICATE_TYPE } from '../../domain/evidence/scan.js';
import { readScanReports, type ScanReport, type SignedScan, supersededScans } from '../../domain/lifecycle/collect.js';
import { formatPinned } from '../../domain/reference.js';
import type { GcOutcome } from '../../domain/report/collect-report.js';
import { prefixedKeys } from '../../domain/stamp/keys.js';
import type { Victim } from '../deletion/remove-manifests.js';
import type { Dependencies } from '../dependencies.js';
import { readBundles } from '../evidence/read-bundles.js';
import type { RepositoryAt } from '../repository/repository-at.js';

/** What can be deleted in one repository. The workflow keeps it until all of it is gone. */
export interface Collection {
  readonly outcomes: readonly GcOutcome[];
  /** Scan reports and the signed statements about them, in the order of deletion. */
  readonly scans: readonly Victim[];
  readonly manifests: readonly Digest[];
  /** Superseded digests that stay. */
  readonly kept: readonly Digest[];
  /** Whether another pass is needed after these are deleted. */
  readonly more: boolean;
}

const LARGEST_BUNDLE = 4 * 1024 * 1024;
const MOST_SCANS = 2_000;

interface Limits {
  readonly keep: number;
  readonly graceMs: number;
  readonly nowMs: number;
  readonly apply: boolean;
}

type FoundScans = Pick<Collection, 'outcomes' | 'scans' | 'more'>;

/** Finds the superseded scan reports of each image that a tag shows, and of its platforms. */
export async function findScans(
  deps: Dependencies,
  at: RepositoryAt,
  heads: readonly Digest[],
  { keep, graceMs, nowMs, apply }: Limits,
): Promise<FoundScans> {
  const outcomes: GcOutcome[] = [];
  const scans: Victim[] = [];
  const seen = new Set(heads);
  let trust: Promise<Trust | null> | null = null;
  // The loop adds the platforms of each index to the set it walks.
  for (const digest of seen) {
    if (apply && scans.length >= MOST_SCANS) return { outcomes, scans, more: true };
    // Not every platform of an index need be in the repository.
    const found = await at.findManifest(digest);
    if (found === null) continue;
    const { manifest } = found;
    if (manifest.kind === 'index') for (const child of manifest.manifests) seen.add(child.digest);
    const referrers = await at.referrers(digest);
    const reports = readScanReports(referrers, at.prefix);
    if (reports.length <= keep) continue;
    const names = await reportNames(at, reports);
    const collect = async (by: Trust | null) => {
      const signed = await readSignedScans(deps, at, { digest, referrers, names, trust: by });
      return supersededScans(reports, signed, keep, graceMs, nowMs);
    };
    // Signatures can only keep more reports, and each takes a cosign process: verified only where something would go.
    if ((await collect(null)).length === 0) continue;
    trust ??= deps.readTrust(at.signal);
    const collected = await collect(await trust);
    if (collected.length === 0) continue;
    scans.push(...collected.map((scan) => ({ digest: scan, subject: digest })));
    const left = reports.filter((report) => !collected.includes(report.digest)).length;
    const image = formatPinned(at.repository, digest);
    outcomes.push({ kind: 'scans', image_ref: image, kept: left, collected, applied: false, error: null });
  }
  return { outcomes, scans, more: false };
}

interface ScannedImage {
  readonly digest: Digest;
  readonly referrers: readonly ReferrerDescriptor[];
  readonly names: ReadonlyMap<string, Digest | null>;
  /** null: every statement counts as valid. */
  readonly trust: Trust | null;
}

async function readSignedScans(
  { cosign }: Dependencies,
  at: RepositoryAt,
  { digest, referrers, names, trust }: ScannedImage,
): Promise<SignedScan[]> {
  const signed: SignedScan[] = [];
  const wanted = new Set([SCAN_PREDICATE_TYPE, VULNS_PREDICATE_TYPE]);
  for await (const bundle of readBundles(at, referrers, wanted, LARGEST_BUNDLE)) {
    const { referrer, predicateType, content } = bundle;
    if ('fault' in content) continue;
    const kind = predicateType === SCAN_PREDICATE_TYPE ? 'scan' : 'vulns';
    const said = kind === 'scan' ? readScanBundle(content.bytes) : readLink(bundle.annotations, at.prefix);
    const report = said.report === null ? null : (names.get(said.report) ?? null);
    if (report === null) continue;
    const claim = { digest, predicateType };
    const refused = trust === null ? null : (await cosign.verifyBundle(content.bytes, claim, trust, at.signal)).reason;
    signed.push({ digest: referrer, kind, report, attestedAt: said.attestedAt, valid: refused == null });
  }
  return signed;
}

/** Reads which report a statement belongs to whose predicate has no place for it. */
function readLink(
  annotations: Readonly<Record<string, string>>,
  prefix: string,
): Pick<SignedScan, 'report' | 'attestedAt'> {
  const report = annotations[prefixedKeys(prefix)?.scanReport ?? ''] ?? '';
  return { report: isDigest(report) ? report : null, attestedAt: null };
}

/** Maps the referrer digest and the document digest of each report to the report; null: several have that document. */
async function reportNames(at: RepositoryAt, reports: readonly ScanReport[]): Promise<Map<string, Digest | null>> {
  const names = new Map<string, Digest | null>();
  for (const { digest } of reports) {
    const { manifest } = await at.manifest(digest);
    const layers = manifest.kind === 'image' ? new Set(manifest.layers.map((layer) => layer.digest)) : [];
    for (const layer of layers) names.set(layer, names.has(layer) ? null : digest);
    names.set(digest, digest);
  }
  return names;
}
