import type { Trust } from '../../adapters/cosign.js';
import type { ReferrerDescriptor } from '../../adapters/registry.js';
import type { Digest } from '../../domain/digest.js';
import { readScanBundle, SCAN_PREDICATE_TYPE } from '../../domain/evidence/scan.js';
import { readScanReports, type ScanReport, type SignedScan, supersededScans } from '../../domain/lifecycle/collect.js';
import { parseManifest } from '../../domain/manifest.js';
import { formatPinned, type Repository } from '../../domain/reference.js';
import type { GcOutcome } from '../../domain/report/collect-report.js';
import type { Victim } from '../deletion/remove-manifests.js';
import type { Dependencies } from '../dependencies.js';
import { readBundles } from '../evidence/read-bundles.js';
import { readManifest } from '../repository/read-manifest.js';

/** What one repository can do without. It is kept until all of it is gone. */
export interface Collection {
  readonly outcomes: readonly GcOutcome[];
  /** Reports with their signed twins, in the order of deletion. */
  readonly scans: readonly Victim[];
  /** In the order of deletion. */
  readonly manifests: readonly Digest[];
  /** What tags showed before, and still needs to stay. */
  readonly kept: readonly Digest[];
  /** Whether there is more, to be found once these are gone. */
  readonly more: boolean;
}

/** A signed statement about a scan is small. */
const LARGEST_BUNDLE = 4 * 1024 * 1024;
const MOST_SCANS = 2_000;

interface Limits {
  readonly keep: number;
  readonly graceMs: number;
  readonly nowMs: number;
  readonly apply: boolean;
}

type FoundScans = Pick<Collection, 'outcomes' | 'scans' | 'more'>;

/** The superseded reports of each image that a tag shows, and of its platforms. */
export async function findScans(
  deps: Dependencies,
  repository: Repository,
  heads: readonly Digest[],
  { keep, graceMs, nowMs, apply }: Limits,
  signal: AbortSignal,
): Promise<FoundScans> {
  const outcomes: GcOutcome[] = [];
  const scans: Victim[] = [];
  const seen = new Set(heads);
  let trust: Promise<Trust | null> | null = null;
  // A set that grows while it is walked is walked to its end.
  for (const digest of seen) {
    if (apply && scans.length >= MOST_SCANS) return { outcomes, scans, more: true };
    // A platform that an index names need not be there.
    const raw = await deps.reader.getManifest(repository, digest, signal);
    if (raw === null) continue;
    const manifest = parseManifest(raw.bytes, raw.mediaType);
    if (manifest.kind === 'index') for (const child of manifest.manifests) seen.add(child.digest);
    const referrers = await deps.reader.listReferrers(repository, digest, {}, signal);
    const reports = readScanReports(referrers, deps.settings.prefix);
    if (reports.length <= keep) continue;
    const names = await reportNames(deps, repository, reports, signal);
    const collect = async (by: Trust | null) => {
      const signed = await readSignedScans(deps, { repository, digest, referrers, names, trust: by }, signal);
      return supersededScans(reports, signed, keep, graceMs, nowMs);
    };
    // Verifying takes nothing else away, and a process for each statement.
    if ((await collect(null)).length === 0) continue;
    trust ??= deps.readTrust(signal);
    const collected = await collect(await trust);
    if (collected.length === 0) continue;
    scans.push(...collected.map((scan) => ({ digest: scan, subject: digest })));
    const left = reports.filter((report) => !collected.includes(report.digest)).length;
    const image = formatPinned(repository, digest);
    outcomes.push({ kind: 'scans', image_ref: image, kept: left, collected, applied: false, error: null });
  }
  return { outcomes, scans, more: false };
}

interface ScannedImage {
  readonly repository: Repository;
  readonly digest: Digest;
  readonly referrers: readonly ReferrerDescriptor[];
  readonly names: ReadonlyMap<string, Digest | null>;
  /** null: every statement counts as valid. */
  readonly trust: Trust | null;
}

/** The signed statements about the scans of an image. */
async function readSignedScans(
  { reader, cosign }: Dependencies,
  { repository, digest, referrers, names, trust }: ScannedImage,
  signal: AbortSignal,
): Promise<SignedScan[]> {
  const signed: SignedScan[] = [];
  const wanted = new Set([SCAN_PREDICATE_TYPE]);
  for await (const { referrer, content } of readBundles(
    reader,
    repository,
    referrers,
    wanted,
    LARGEST_BUNDLE,
    signal,
  )) {
    if ('fault' in content) continue;
    const { report: name, attestedAt } = readScanBundle(content.bytes);
    const report = name === null ? null : (names.get(name) ?? null);
    if (report === null) continue;
    const claim = { digest, predicateType: SCAN_PREDICATE_TYPE };
    const refused = trust === null ? null : (await cosign.verifyBundle(content.bytes, claim, trust, signal)).reason;
    signed.push({ digest: referrer, report, attestedAt, valid: refused == null });
  }
  return signed;
}

/** Statements name a report by its referrer, or by its document; null: several have that. */
async function reportNames(
  { reader }: Dependencies,
  repository: Repository,
  reports: readonly ScanReport[],
  signal: AbortSignal,
): Promise<Map<string, Digest | null>> {
  const names = new Map<string, Digest | null>();
  for (const { digest } of reports) {
    const { manifest } = await readManifest(reader, repository, digest, signal);
    const layers = manifest.kind === 'image' ? new Set(manifest.layers.map((layer) => layer.digest)) : [];
    for (const layer of layers) names.set(layer, names.has(layer) ? null : digest);
    names.set(digest, digest);
  }
  return names;
}
