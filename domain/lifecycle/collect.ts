import { type Digest, isDigest } from '../digest.js';
import { formatInstant, parseInstant } from '../instant.js';
import { prefixedKeys, SCAN_ARTIFACT_TYPE } from '../stamp/keys.js';
import { compareText } from '../text/compare-text.js';
import { type ManifestGraph, unneededManifests } from './manifest-graph.js';
import { MARK_ARTIFACT_TYPE, markKeys } from './mark.js';

export interface ScanReport {
  readonly digest: Digest;
  readonly tool: string;
  readonly format: string;
  /** ISO 8601; a report without a time is never collected. */
  readonly timestamp: string | null;
}

/** A signed statement about a scan report (docs/rules/collect.md#old-reports-go-in-pairs). */
export interface SignedScan {
  readonly digest: Digest;
  /** `vulns`: it goes with its report, and no admission rule of houba's reads it. */
  readonly kind: 'scan' | 'vulns';
  /** The report it is about; a statement that names none is never collected. */
  readonly report: Digest | null;
  readonly attestedAt: string | null;
  /** Whether its signature verifies. A statement that does not is never collected, and displaces none that does. */
  readonly valid: boolean;
}

export function readScanReports(
  referrers: readonly {
    readonly digest: Digest;
    readonly artifactType: string;
    readonly annotations: Readonly<Record<string, string>>;
  }[],
  prefix: string,
): ScanReport[] {
  const keys = prefixedKeys(prefix);
  if (keys === null) return [];
  return referrers
    .filter(({ artifactType }) => artifactType === SCAN_ARTIFACT_TYPE)
    .map(({ digest, annotations }) => {
      const read = (key: string) => (Object.hasOwn(annotations, key) ? (annotations[key] ?? null) : null);
      return {
        digest,
        tool: read(keys.scanTool) ?? '',
        format: read(keys.scanFormat) ?? '',
        timestamp: read(keys.scanTimestamp),
      };
    });
}

/**
 * Finds the scan reports to delete, each after its signed statement: all but the `keep` newest of each tool and format,
 * once older than the grace time (docs/rules/collect.md#the-newest-signed-report-stays).
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
    const reported = new Set(group.map(({ report }) => report.digest));
    const valid = signed.filter((twin) => twin.valid);
    const needed = new Set([...neededForAdmission(reported, signed), ...neededForAdmission(reported, valid)]);
    for (const { report, at } of group.slice(keep)) {
      if (nowMs - at <= graceMs || needed.has(report.digest)) continue;
      const twins = valid.filter((twin) => twin.report === report.digest);
      collected.push(...twins.map(({ digest }) => digest), report.digest);
    }
  }
  return collected;
}

/** Finds the reports whose statement is the newest, or has no time. */
function neededForAdmission(reports: ReadonlySet<Digest>, signed: readonly SignedScan[]): Set<Digest> {
  const needed = new Set<Digest>();
  const dated: { report: Digest; at: number }[] = [];
  for (const { kind, report, attestedAt } of signed) {
    if (kind !== 'scan' || report === null || !reports.has(report)) continue;
    const at = attestedAt === null ? null : parseInstant(attestedAt);
    if (at === null) needed.add(report);
    else dated.push({ report, at });
  }
  const newest = Math.max(...dated.map(({ at }) => at));
  for (const { report, at } of dated) if (at === newest) needed.add(report);
  return needed;
}

/** A manifest in the chain of `{prefix}.supersedes` from what a tag shows to what it showed before. */
export interface ThreadLink {
  readonly digest: Digest;
  readonly created: string | null;
  /** ISO 8601 times of the notes that it is superseded, by successor. */
  readonly notes: ReadonlyMap<Digest, string>;
  /** Whether it was restored, or is in use. */
  readonly stays: boolean;
}

export interface Superseded {
  readonly digest: Digest;
  readonly by: Digest;
}

export interface SupersededManifests {
  /** The collected manifests of chains. */
  readonly links: readonly Digest[];
  /** All manifests to delete, in order: the links with their evidence and originals. */
  readonly collected: readonly Digest[];
  /** Links without a known time, which get a note that starts the grace time. */
  readonly unnoted: readonly Superseded[];
  readonly more: boolean;
}

const SUPERSEDED = 'superseded';

/** Builds the note that a manifest is superseded: a mark without a tag, on which purge does not act. */
export function supersededNote(prefix: string, by: Digest, nowMs: number): Record<string, string> {
  const keys = markKeys(prefix);
  return { [keys.markedAt]: formatInstant(nowMs), [keys.state]: SUPERSEDED, [keys.supersededBy]: by };
}

/** Reads the notes by successor: a tag may have gone back to a manifest since it was noted. */
export function readNotes(
  referrers: readonly { readonly artifactType: string; readonly annotations: Readonly<Record<string, string>> }[],
  prefix: string,
): Map<Digest, string> {
  const keys = markKeys(prefix);
  const notes = new Map<Digest, string>();
  for (const { artifactType, annotations } of referrers) {
    const { [keys.supersededBy]: by = '', [keys.markedAt]: at = '' } = annotations;
    if (artifactType !== MARK_ARTIFACT_TYPE || annotations[keys.state] !== SUPERSEDED || !isDigest(by)) continue;
    const atMs = parseInstant(at);
    const before = parseInstant(notes.get(by) ?? '');
    if (atMs !== null && (before === null || atMs < before)) notes.set(by, at);
  }
  return notes;
}

/**
 * Finds old manifests of tags and what only they need (docs/rules/collect.md#what-is-needed-or-used-stays).
 * @param threads for each tag what it shows, then what that superseded, and so on; they are shortened from the far end
 * @param most links to take at once
 */
export function supersededManifests(
  graph: ManifestGraph,
  threads: readonly (readonly ThreadLink[])[],
  graceMs: number,
  nowMs: number,
  most = Number.POSITIVE_INFINITY,
): SupersededManifests {
  const old = new Set<Digest>();
  const kept = new Set<Digest>();
  const heads = new Set(threads.flatMap(([head]) => (head === undefined ? [] : [head.digest])));
  const unnoted = new Map<string, Superseded>();
  for (const thread of threads) {
    const since = supersededSince(thread);
    let over = true;
    for (let index = thread.length - 1; index >= 0; index--) {
      const { digest, stays } = thread[index] as ThreadLink;
      const by = thread[index - 1]?.digest;
      const at = since[index] ?? null;
      if (by !== undefined && at === null && !stays && !heads.has(digest)) {
        unnoted.set(`${digest} ${by}`, { digest, by });
      }
      over &&= by !== undefined && at !== null && !stays && nowMs - at > graceMs;
      if (over) old.add(digest);
      else kept.add(digest);
    }
  }
  const due = [...old].filter((digest) => !kept.has(digest));
  const free = new Set(unneededManifests(graph, due, kept, 'cut'));
  const links = due.filter((digest) => free.has(digest));
  const taken = new Set(links.slice(0, most));
  const rest = due.filter((digest) => !taken.has(digest));
  const collected = unneededManifests(graph, taken, [...kept, ...rest], 'cut');
  return { links: [...taken], collected, unnoted: [...unnoted.values()], more: links.length > most };
}

/** Dates when each link was superseded; null: unknown (docs/rules/collect.md#grace-counts-from-the-successor). */
function supersededSince(thread: readonly ThreadLink[]): (number | null)[] {
  const since: (number | null)[] = [];
  let successor: ThreadLink | null = null;
  for (const link of thread) {
    since.push(successor === null ? null : sinceBy(successor, link, since.at(-1) ?? null));
    successor = link;
  }
  return since;
}

function sinceBy(successor: ThreadLink, link: ThreadLink, successorSince: number | null): number | null {
  const placed = parseInstant(successor.created ?? '');
  if (placed !== null && placed > (parseInstant(link.created ?? '') ?? Number.NEGATIVE_INFINITY)) return placed;
  const noted = parseInstant(link.notes.get(successor.digest) ?? '');
  const bounds = [successorSince, noted].filter((at) => at !== null);
  return bounds.length === 0 ? null : Math.min(...bounds);
}
