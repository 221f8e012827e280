import type { Digest } from '../digest.js';
import { compareText } from '../selection/version.js';
import { formatInstant, parseInstant } from './instant.js';
import { type ManifestGraph, unneededManifests } from './manifest-graph.js';
import { MARK_ARTIFACT_TYPE, markKeys } from './mark.js';

/** The raw report of a scan, attached to an image (section 7.4). */
const SCAN_ARTIFACT_TYPE = 'application/vnd.houba.scan.result.v1';

export interface ScanReport {
  /** Of the referrer. */
  readonly digest: Digest;
  readonly tool: string;
  readonly format: string;
  /** ISO 8601; null: it does not say, and is never collected. */
  readonly timestamp: string | null;
}

/** A signed statement about a scan: the report's twin (L20). */
export interface SignedScan {
  /** Of the referrer that holds the bundle. */
  readonly digest: Digest;
  /** The report it vouches for; null: it does not say, and is never collected. */
  readonly report: Digest | null;
  /** ISO 8601, from the predicate. */
  readonly attestedAt: string | null;
}

/** The scan reports among an image's referrers; none without a prefix, under which they would say what they are. */
export function readScanReports(
  referrers: readonly {
    readonly digest: Digest;
    readonly artifactType: string;
    readonly annotations: Readonly<Record<string, string>>;
  }[],
  prefix: string,
): ScanReport[] {
  if (prefix === '') return [];
  return referrers
    .filter(({ artifactType }) => artifactType === SCAN_ARTIFACT_TYPE)
    .map(({ digest, annotations }) => {
      const read = (key: string) => (Object.hasOwn(annotations, key) ? (annotations[key] ?? null) : null);
      return {
        digest,
        tool: read(`${prefix}.scan.tool`) ?? '',
        format: read(`${prefix}.scan.format`) ?? '',
        timestamp: read(`${prefix}.scan.timestamp`),
      };
    });
}

/**
 * The scan reports of one image that newer ones have superseded: all but the `keep` newest of each tool and format,
 * once they are older than the grace time, each with its signed twin. The newest signed one stays with its report,
 * whatever came after it unsigned: an admission rule may need it (L20).
 *
 * @returns in the order of deletion: a twin before its report, by which it is found
 */
export function supersededScans(
  reports: readonly ScanReport[],
  signed: readonly SignedScan[],
  keep: number,
  graceMs: number,
  nowMs: number,
): Digest[] {
  const groups = new Map<string, { report: ScanReport; at: number }[]>();
  for (const report of reports) {
    const at = report.timestamp === null ? null : parseInstant(report.timestamp);
    if (at === null) continue;
    const key = JSON.stringify([report.tool, report.format]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [{ report, at }]);
    else group.push({ report, at });
  }
  const collected: Digest[] = [];
  for (const group of groups.values()) {
    group.sort((a, b) => b.at - a.at || compareText(b.report.digest, a.report.digest));
    const needed = neededForAdmission(new Set(group.map(({ report }) => report.digest)), signed);
    for (const { report, at } of group.slice(keep)) {
      if (nowMs - at <= graceMs || needed.has(report.digest)) continue;
      const twins = signed.filter((twin) => twin.report === report.digest);
      collected.push(...twins.map(({ digest }) => digest), report.digest);
    }
  }
  return collected;
}

/** The reports whose signed twin is the newest, or does not say how new it is. */
function neededForAdmission(reports: ReadonlySet<Digest>, signed: readonly SignedScan[]): Set<Digest> {
  const needed = new Set<Digest>();
  const dated: { report: Digest; at: number }[] = [];
  for (const { report, attestedAt } of signed) {
    if (report === null || !reports.has(report)) continue;
    const at = attestedAt === null ? null : parseInstant(attestedAt);
    if (at === null) needed.add(report);
    else dated.push({ report, at });
  }
  const newest = Math.max(...dated.map(({ at }) => at));
  for (const { report, at } of dated) if (at === newest) needed.add(report);
  return needed;
}

/** One manifest of the thread that `{prefix}.supersedes` makes of a tag's past. */
export interface ThreadLink {
  readonly digest: Digest;
  /** When it was placed, as its stamp says; null: it has none. */
  readonly created: string | null;
  /** When an earlier collection noted it as superseded, ISO 8601; null: none did. */
  readonly notedAt: string | null;
}

export interface SupersededManifests {
  /** In the order of deletion. */
  readonly collected: readonly Digest[];
  /** Superseded, but nobody can say since when: to be noted now, so that the grace time begins. */
  readonly unnoted: readonly Digest[];
}

const SUPERSEDED = 'superseded';

/** The annotations of a note that a manifest is superseded: a mark without a tag, which purge never acts on. */
export function supersededNote(prefix: string, nowMs: number): Record<string, string> {
  const keys = markKeys(prefix);
  return { [keys.markedAt]: formatInstant(nowMs), [keys.state]: SUPERSEDED };
}

/** When a manifest was first noted as superseded, from its referrers; null: never. */
export function notedAt(
  referrers: readonly { readonly artifactType: string; readonly annotations: Readonly<Record<string, string>> }[],
  prefix: string,
): string | null {
  const keys = markKeys(prefix);
  const times = referrers
    .filter(
      ({ artifactType, annotations }) => artifactType === MARK_ARTIFACT_TYPE && annotations[keys.state] === SUPERSEDED,
    )
    .map(({ annotations }) => annotations[keys.markedAt] ?? '');
  return times.filter((time) => parseInstant(time) !== null).sort()[0] ?? null;
}

/**
 * What the tags of a repository showed before, longer ago than the grace time, and that nothing needs any more, with
 * its evidence and originals. A thread is taken up from its far end, or what lies beyond would not be found again.
 *
 * @param threads for each tag, what it shows, then what that superseded, and so on; houba's tags or not
 */
export function supersededManifests(
  graph: ManifestGraph,
  threads: readonly (readonly ThreadLink[])[],
  graceMs: number,
  nowMs: number,
): SupersededManifests {
  const old = new Set<Digest>();
  const kept = new Set<Digest>();
  const unnoted = new Set<Digest>();
  for (const thread of threads) {
    const since = supersededSince(thread);
    let over = true;
    for (let index = thread.length - 1; index >= 0; index--) {
      const { digest } = thread[index] as ThreadLink;
      const at = since[index] ?? null;
      if (index > 0 && at === null) unnoted.add(digest);
      over &&= index > 0 && at !== null && nowMs - at > graceMs;
      if (over) old.add(digest);
      else kept.add(digest);
    }
  }
  for (const [head] of threads) if (head !== undefined) unnoted.delete(head.digest);
  return { collected: unneededManifests(graph, old, kept, 'cut'), unnoted: [...unnoted] };
}

/**
 * Since when, at the latest, each manifest of a thread has been superseded; null where that cannot be told. The
 * successor was placed then, unless it is a restamp: that keeps the time of what it restamps (section 5), so that only
 * its own successor, or a note, bounds the time.
 */
function supersededSince(thread: readonly ThreadLink[]): (number | null)[] {
  const since: (number | null)[] = [];
  let successor: ThreadLink | null = null;
  for (const link of thread) {
    const placed: number | null = successor?.created == null ? null : parseInstant(successor.created);
    const bounds: (number | null)[] = [
      successor?.created === link.created ? null : placed,
      since.at(-1) ?? null,
      link.notedAt === null ? null : parseInstant(link.notedAt),
    ];
    const known = bounds.filter((at) => at !== null);
    since.push(successor === null || known.length === 0 ? null : Math.min(...known));
    successor = link;
  }
  return since;
}
