import { parseInstant } from '../../instant.js';
import { shortLine } from '../../text/escape.js';
import { SEVERITIES, type Severity } from '../severity.js';
import { fieldOf, invalid, isObject, type JsonObject, listOf } from './json-document.js';
import { type RuleLookup, readRules, ruleIdOf } from './sarif-rules.js';

/** What a SARIF report comes to (docs/rules/evidence.md#a-report-is-counted-one-way). */
export interface SarifReport {
  /** For one line; `unknown` where no run names its tool. */
  readonly tool: string;
  readonly toolVersion: string | null;
  /** Counts in decimal by `vuln.<severity>`, `policy.<severity>` and `policy.passed`; `ruleset.hash` where there is one. */
  readonly facts: Readonly<Record<string, string>>;
  /** Entries among the results that are none, and do not count. */
  readonly skipped: number;
  /** All tools of the runs, each once. */
  readonly scanners: readonly Scanner[];
  /** The findings in `vuln.*`, each id once with its worst severity. */
  readonly findings: readonly Finding[];
  /** Findings in `vuln.*` that no id names. */
  readonly unnamed: number;
  /** Of all invocations, ms since 1970; null: none tells. */
  readonly startedMs: number | null;
  readonly finishedMs: number | null;
}

export interface Scanner {
  /** null: the run names no tool. */
  readonly name: string | null;
  readonly version: string | null;
  readonly informationUri: string | null;
}

export interface Finding {
  readonly id: string;
  readonly severity: Severity;
  /** CVSS; null: the report gives none. */
  readonly score: number | null;
}

const LONGEST_NAME = 100;
const LONGEST_ID = 200;

/** Whether a document is SARIF: its `$schema` says so, or it has runs. */
export function isSarif(document: JsonObject): boolean {
  const schema = fieldOf(document, '$schema');
  return (typeof schema === 'string' && schema.includes('sarif')) || Array.isArray(fieldOf(document, 'runs'));
}

/**
 * Counts a SARIF 2.1.0 report. @throws HoubaError `ReportInvalid` where nobody can tell what was found
 * (docs/rules/evidence.md#a-report-that-says-nothing-is-not-clean)
 */
export function readSarif(document: JsonObject): SarifReport {
  const version = fieldOf(document, 'version');
  if (version != null && !(typeof version === 'string' && version.startsWith('2.'))) {
    throw invalid('the report is of another SARIF version than 2.1.0', 'let the scanner write SARIF 2.1.0');
  }
  const runs = listOf(fieldOf(document, 'runs'));
  if (runs === null) throw invalid('the report has no list of runs', SCANNED_NOTHING);
  if (runs.length === 0) throw invalid('the report has no run: nothing was scanned', SCANNED_NOTHING);
  refuseElsewhere(fieldOf(document, 'inlineExternalProperties'), 'inlineExternalProperties');
  const tally = createTally();
  for (const [index, run] of runs.entries()) addRun(tally, run, `runs[${index}]`);
  return reportOf(tally, runs);
}

const SCANNED_NOTHING = 'look at what the scanner said: a report without results is no clean one';

interface Tally {
  readonly counts: Map<string, number>;
  readonly findings: Map<string, Finding>;
  unnamed: number;
  skipped: number;
  firstSkipped: string;
  readonly starts: number[];
  readonly ends: number[];
}

function createTally(): Tally {
  const names = [...['vuln', 'policy'].flatMap((kind) => SEVERITIES.map((one) => `${kind}.${one}`)), 'policy.passed'];
  return {
    counts: new Map(names.map((name) => [name, 0])),
    findings: new Map(),
    ...{ unnamed: 0, skipped: 0, firstSkipped: '', starts: [], ends: [] },
  };
}

function addRun(tally: Tally, run: unknown, where: string): void {
  if (!isObject(run)) throw invalid(`${where} of the report is no run`, SCANNED_NOTHING);
  refuseFailed(run, where);
  const results = listOf(fieldOf(run, 'results'));
  if (results === null) throw invalid(`${where} of the report has no results: the scan did not end`, SCANNED_NOTHING);
  refuseElsewhere([{ results: fieldOf(fieldOf(run, 'externalPropertyFileReferences'), 'results') }], where);
  for (const invocation of listOf(fieldOf(run, 'invocations')) ?? []) {
    addTime(tally.starts, fieldOf(invocation, 'startTimeUtc'));
    addTime(tally.ends, fieldOf(invocation, 'endTimeUtc'));
  }
  const ruleOf = readRules(run);
  for (const [index, result] of results.entries()) {
    if (isObject(result)) addResult(tally, result, ruleOf);
    else if (tally.skipped++ === 0) tally.firstSkipped = `${where}.results[${index}]`;
  }
}

/** Refuses a run that says of itself that it failed (SARIF 2.1.0, 3.20.13, 3.20.14, 3.20.21 and 3.20.22). */
function refuseFailed(run: JsonObject, where: string): void {
  for (const invocation of listOf(fieldOf(run, 'invocations')) ?? []) {
    const notifications = ['toolExecutionNotifications', 'toolConfigurationNotifications']
      .flatMap((name) => listOf(fieldOf(invocation, name)) ?? [])
      .filter((one) => fieldOf(one, 'level') === 'error');
    const failed =
      fieldOf(invocation, 'executionSuccessful') === false ||
      fieldOf(invocation, 'processStartFailureMessage') != null ||
      notifications.length > 0;
    if (!failed) continue;
    const said =
      fieldOf(fieldOf(notifications[0], 'message'), 'text') ?? fieldOf(invocation, 'processStartFailureMessage');
    const quote = typeof said === 'string' ? `: ${shortLine(said, 200)}` : '';
    throw invalid(
      `${where} of the report says that the scan failed${quote}`,
      'scan again; a failed scan proves nothing',
    );
  }
}

/** Refuses results that are kept outside of their run: they would not be counted. */
function refuseElsewhere(holders: unknown, where: string): void {
  for (const holder of listOf(holders) ?? []) {
    const results = fieldOf(holder, 'results');
    if (results == null || (Array.isArray(results) && results.length === 0)) continue;
    throw invalid(
      `the report keeps results outside of its runs (${where})`,
      'have the scanner write one complete file',
    );
  }
}

function addTime(times: number[], text: unknown): void {
  const ms = typeof text === 'string' ? parseInstant(text) : null;
  if (ms !== null) times.push(ms);
}

function addResult(tally: Tally, result: JsonObject, ruleOf: RuleLookup): void {
  if (isSuppressed(result) || fieldOf(result, 'baselineState') === 'absent') return;
  const rule = ruleOf(result);
  const kind = fieldOf(result, 'kind');
  const score = scoreOf(result) ?? scoreOf(rule);
  const severity = score === null ? severityOfLevel(result, rule) : severityOfScore(score);
  if (typeof kind === 'string' && kind !== '') {
    add(tally.counts, kind === 'pass' ? 'policy.passed' : `policy.${severity}`);
    return;
  }
  add(tally.counts, `vuln.${severity}`);
  const id = shortLine(ruleIdOf(result) ?? textOf(fieldOf(rule, 'id')) ?? '', LONGEST_ID);
  if (id === '') tally.unnamed++;
  else keepWorst(tally.findings, { id, severity, score });
}

function add(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}

function keepWorst(findings: Map<string, Finding>, finding: Finding): void {
  const known = findings.get(finding.id);
  const isWorse =
    known === undefined ||
    SEVERITIES.indexOf(finding.severity) < SEVERITIES.indexOf(known.severity) ||
    (finding.severity === known.severity && (finding.score ?? -1) > (known.score ?? -1));
  if (isWorse) findings.set(finding.id, finding);
}

/** Whether somebody has accepted that it does not count (SARIF 2.1.0, 3.35.3); under review or rejected, it does. */
function isSuppressed(result: JsonObject): boolean {
  return (listOf(fieldOf(result, 'suppressions')) ?? []).some(
    (one) =>
      isObject(one) && ['accepted', null, undefined].includes(fieldOf(one, 'status') as string | null | undefined),
  );
}

const DECIMAL = /^\d{1,3}(?:\.\d{1,20})?$/;

/** The CVSS score of a result or rule; null: it gives none. */
function scoreOf(holder: unknown): number | null {
  const given = fieldOf(fieldOf(holder, 'properties'), 'security-severity');
  if (typeof given === 'number') return Number.isFinite(given) && given >= 0 ? given : null;
  return typeof given === 'string' && DECIMAL.test(given.trim()) ? Number(given) : null;
}

function severityOfScore(score: number): Severity {
  if (score >= 9) return 'critical';
  if (score >= 7) return 'high';
  return score >= 4 ? 'medium' : 'low';
}

const LEVELS: ReadonlyMap<unknown, Severity> = new Map([
  ['error', 'high'],
  ['warning', 'medium'],
  ['note', 'low'],
  ['none', 'low'],
]);

/** A result without a level has that of its rule; of one without either nobody has said how bad it is. */
function severityOfLevel(result: JsonObject, rule: JsonObject | null): Severity {
  const level = fieldOf(result, 'level') ?? fieldOf(fieldOf(rule, 'defaultConfiguration'), 'level');
  return LEVELS.get(level) ?? 'unknown';
}

function reportOf(tally: Tally, runs: readonly unknown[]): SarifReport {
  const { counts, findings, unnamed, skipped, starts, ends } = tally;
  const isClean = SEVERITIES.every((severity) => counts.get(`vuln.${severity}`) === 0);
  if (skipped > 0 && isClean) {
    throw invalid(`${tally.firstSkipped} of the report is no result, and nothing else was found`, SCANNED_NOTHING);
  }
  const scanners = runs.map(scannerOf);
  const hash = rulesetHash(runs);
  return {
    tool: scanners.find(({ name }) => name !== null)?.name ?? 'unknown',
    toolVersion: scanners.find(({ version }) => version !== null)?.version ?? null,
    facts: {
      ...Object.fromEntries([...counts].map(([name, count]) => [name, String(count)])),
      ...(hash === null ? {} : { 'ruleset.hash': hash }),
    },
    skipped,
    scanners: [...new Map(scanners.map((one) => [JSON.stringify([one.name, one.version]), one])).values()],
    findings: [...findings.values()],
    unnamed,
    startedMs: starts.length === 0 ? null : starts.reduce((a, b) => Math.min(a, b)),
    finishedMs: ends.length === 0 ? null : ends.reduce((a, b) => Math.max(a, b)),
  };
}

function scannerOf(run: unknown): Scanner {
  const driver = fieldOf(fieldOf(run, 'tool'), 'driver');
  const uri = fieldOf(driver, 'informationUri');
  return {
    name: textOf(fieldOf(driver, 'name')),
    version: textOf(fieldOf(driver, 'version')) ?? textOf(fieldOf(driver, 'semanticVersion')),
    informationUri: typeof uri === 'string' && /^https?:\/\/[\x21-\x7e]{1,500}$/.test(uri) ? uri : null,
  };
}

/** The hash of the rules that were applied: of the first run that tells one, else of the first result. */
function rulesetHash(runs: readonly unknown[]): string | null {
  const hashOf = (holder: unknown) => textOf(fieldOf(fieldOf(holder, 'properties'), 'ruleset_hash'));
  for (const run of runs) {
    const hash = hashOf(run);
    if (hash !== null) return hash;
  }
  for (const run of runs) {
    for (const result of listOf(fieldOf(run, 'results')) ?? []) {
      const hash = hashOf(result);
      if (hash !== null) return hash;
    }
  }
  return null;
}

/** A text for one line; null: there is none. */
function textOf(value: unknown): string | null {
  const text = typeof value === 'string' ? shortLine(value, LONGEST_NAME) : '';
  return text === '' ? null : text;
}
