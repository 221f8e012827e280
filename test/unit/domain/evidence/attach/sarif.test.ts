import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HoubaError } from '../../../../../domain/errors.js';
import { parseReport } from '../../../../../domain/evidence/attach/attachment.js';
import { bytesOf, counted, parse, sarif } from './samples.js';

const scored = (score: unknown) => ({ properties: { 'security-severity': score } });

describe('a severity', () => {
  it.each<[string, unknown, string]>([
    ['9.0', '9.0', 'critical'],
    ['10', 10, 'critical'],
    ['8.9', '8.9', 'high'],
    ['7.0', '7.0', 'high'],
    ['6.9', 6.9, 'medium'],
    ['4.0', '4.0', 'medium'],
    ['3.9', ' 3.9 ', 'low'],
    ['0', '0.0', 'low'],
    ['more than CVSS knows', '99', 'critical'],
    ['a word', 'high', 'unknown'],
    ['a negative number', '-1', 'unknown'],
    ['nothing', '', 'unknown'],
    ['a number that is none', Number.NaN, 'unknown'],
    ['a list', ['9.8'], 'unknown'],
    ['in hexadecimal', '0x9', 'unknown'],
  ])('of a score that is %s is %s', (_, score, severity) => {
    expect(counted(sarif([scored(score)]))).toEqual({ [`vuln.${severity}`]: '1' });
  });

  it.each<[unknown, string]>([
    ['error', 'high'],
    ['warning', 'medium'],
    ['note', 'low'],
    ['none', 'low'],
    ['odd', 'unknown'],
    ['__proto__', 'unknown'],
    [7, 'unknown'],
    [null, 'unknown'],
    [undefined, 'unknown'],
  ])('of the level %j without a score is %s', (level, severity) => {
    expect(counted(sarif([{ level }]))).toEqual({ [`vuln.${severity}`]: '1' });
  });

  it.each<[string, object, object, string]>([
    ['the score of the result wins over that of its rule', scored('2.0'), scored('9.9'), 'low'],
    ['that of the rule wins over the level', { level: 'note' }, scored('9.9'), 'critical'],
    ['a score that is none leaves it to the rule', scored('severe'), scored('7.5'), 'high'],
    ['a result without a level has that of its rule', {}, { defaultConfiguration: { level: 'error' } }, 'high'],
    ['its own level wins', { level: 'note' }, { defaultConfiguration: { level: 'error' } }, 'low'],
    ['where neither has one, nobody has rated it', {}, {}, 'unknown'],
  ])('%s', (_, result, rule, severity) => {
    const rules = [{ id: 'A', ...rule }];
    expect(counted(sarif([{ ruleId: 'A', ...result }], { driver: { rules } }))).toEqual({ [`vuln.${severity}`]: '1' });
  });
});

describe('a rule', () => {
  const high = (id: string, more: object = {}) => ({ id, ...scored('8'), ...more });
  const low = (id: string) => ({ id, ...scored('1') });
  const extension = (name: string, ...rules: object[]) => ({ name, guid: `guid-${name}`, rules });

  it.each<[string, object, { rules?: unknown; extensions?: unknown }]>([
    ['by its id', { ruleId: 'A' }, { rules: [low('B'), high('A')] }],
    ['by its id in the reference', { rule: { id: 'A' } }, { rules: [high('A')] }],
    ['by its index', { ruleIndex: 1 }, { rules: [low('B'), high('A')] }],
    ['by the index in the reference', { rule: { index: 1 } }, { rules: [low('B'), high('A')] }],
    ['by its index where two have the id', { ruleId: 'A', ruleIndex: 1 }, { rules: [low('A'), high('A')] }],
    ['by its id where the index is of another', { ruleId: 'A', ruleIndex: 0 }, { rules: [low('B'), high('A')] }],
    ['by its id where the index leads nowhere', { ruleId: 'A', ruleIndex: 9 }, { rules: [high('A')] }],
    ['by its id where the index is none', { ruleId: 'A', ruleIndex: -1 }, { rules: [high('A')] }],
    ['by its guid', { rule: { guid: 'g' } }, { rules: [low('B'), high('A', { guid: 'g' })] }],
    ['with another component in the id', { ruleId: 'A/md5' }, { rules: [high('A')] }],
    ['with two more, at its index', { ruleId: 'A/md5/x', ruleIndex: 0 }, { rules: [high('A')] }],
    ['the closest of its ancestors', { ruleId: 'A/md5/x' }, { rules: [low('A'), high('A/md5')] }],
    [
      'in an extension, by index',
      { rule: { index: 0, toolComponent: { index: 1 } } },
      { rules: [low('A')], extensions: [extension('one', low('A')), extension('two', high('A'))] },
    ],
    [
      'in an extension, by name',
      { rule: { id: 'A', toolComponent: { name: 'two' } } },
      { rules: [low('A')], extensions: [extension('two', high('A'))] },
    ],
    [
      'in an extension, by guid',
      { rule: { index: 0, toolComponent: { guid: 'guid-two' } } },
      { rules: [low('A')], extensions: [extension('two', high('A'))] },
    ],
    [
      'in an extension that nobody names',
      { ruleId: 'A' },
      { rules: [low('B')], extensions: [extension('two', high('A'))] },
    ],
    [
      'among entries that are none',
      { ruleId: 'A' },
      { rules: [null, 7, { id: 3 }, high('A')], extensions: [null, 'x'] },
    ],
  ])('is found %s', (_, result, { rules, extensions }) => {
    const tool = { driver: { name: 'scanner', rules }, extensions };
    expect(counted(sarif([result], { tool }))).toEqual({ 'vuln.high': '1' });
  });

  it.each<[string, object]>([
    ['whose name only begins alike', { ruleId: 'AB' }],
    ['of the name of a property of every object', { ruleId: '__proto__' }],
    ['whose id is no text', { ruleId: 7 }],
    ['whose index is no number', { ruleIndex: '0' }],
  ])('is not found %s', (_, result) => {
    expect(counted(sarif([result], { driver: { rules: [high('A')] } }))).toEqual({ 'vuln.unknown': '1' });
  });
});

describe('a result', () => {
  it.each<[string, unknown, Record<string, string>]>([
    ['passes a policy', { kind: 'pass', ...scored('9.8') }, { 'policy.passed': '1' }],
    ['fails one', { kind: 'fail', level: 'error' }, { 'policy.high': '1' }],
    ['fails one with a score', { kind: 'fail', ...scored('9.8') }, { 'policy.critical': '1' }],
    ['waits for a review', { kind: 'review', level: 'none' }, { 'policy.low': '1' }],
    ['is of a kind that nobody knows', { kind: 'odd' }, { 'policy.unknown': '1' }],
    ['has a kind that is no word', { kind: 7, level: 'error' }, { 'vuln.high': '1' }],
    ['has an empty kind', { kind: '', level: 'error' }, { 'vuln.high': '1' }],
    ['has null for a kind', { kind: null, level: 'error' }, { 'vuln.high': '1' }],
  ])('that %s counts so', (_, result, expected) => {
    expect(counted(sarif([result]))).toEqual(expected);
  });

  it.each<[string, unknown, boolean]>([
    ['nobody suppressed', undefined, true],
    ['null', null, true],
    ['none', [], true],
    ['accepted', [{ kind: 'external', status: 'accepted' }], false],
    ['accepted without a word', [{ kind: 'inSource' }], false],
    ['accepted, null being nothing', [{ kind: 'inSource', status: null }], false],
    ['under review', [{ kind: 'external', status: 'underReview' }], true],
    ['rejected', [{ kind: 'external', status: 'rejected' }], true],
    ['accepted beside one that was rejected', [{ status: 'rejected' }, { status: 'accepted' }], false],
    ['something that nobody knows', [{ status: 'perhaps' }], true],
    ['something that is none', [true, 'accepted', null], true],
    ['no list', { status: 'accepted' }, true],
  ])('with the suppression %s counts: %s', (_, suppressions, counts) => {
    expect(counted(sarif([{ level: 'error', suppressions }]))).toEqual(counts ? { 'vuln.high': '1' } : {});
  });

  it.each<[unknown, boolean]>([
    ['new', true],
    ['unchanged', true],
    ['updated', true],
    ['absent', false],
    ['ABSENT', true],
    [7, true],
  ])('whose state against the baseline is %j counts: %s', (baselineState, counts) => {
    expect(counted(sarif([{ level: 'error', baselineState }]))).toEqual(counts ? { 'vuln.high': '1' } : {});
  });

  it('is looked up in the rules of its own run', () => {
    const one = sarif([{ ruleId: 'A' }], { driver: { rules: [{ id: 'A', ...scored('9.9') }] } });
    const other = sarif([{ ruleId: 'A' }], { driver: { rules: [{ id: 'A', ...scored('1') }] } });
    const runs = [one, other].flatMap((report) => report.runs as unknown[]);
    expect(counted({ runs })).toEqual({ 'vuln.critical': '1', 'vuln.low': '1' });
  });

  it('that is none is skipped beside others, and told', () => {
    const report = parse(sarif([null, 7, 'x', [], { level: 'error' }]));
    expect(report.skipped).toBe(4);
    expect(report.facts['vuln.high']).toBe('1');
  });
});

describe('a report that says nothing', () => {
  const failed = (invocation: object) => sarif([], { invocations: [{ executionSuccessful: true }, invocation] });

  it.each<[string, unknown, RegExp]>([
    ['has no runs', { version: '2.1.0', $schema: 'https://example.org/sarif.json' }, /no list of runs/],
    ['has runs that are no list', { $schema: 'sarif', runs: { results: [] } }, /no list of runs/],
    ['has a list without a run', { runs: [] }, /no run: nothing was scanned/],
    ['has null for a run', { runs: [null] }, /runs\[0\] of the report is no run/],
    ['has a text for a run', { runs: [{ results: [] }, 'x'] }, /runs\[1\] of the report is no run/],
    ['has a run without results', { runs: [{ results: [{ level: 'note' }] }, { tool: {} }] }, /runs\[1\].* no results/],
    ['has null for results', sarif(null), /runs\[0\].* no results/],
    ['has results that are no list', sarif({ length: 0 }), /no results/],
    ['has nothing but entries that are no results', sarif([7]), /runs\[0\]\.results\[0\] .* is no result/],
    ['has such an entry, and else what counts for nothing', sarif([{ kind: 'pass' }, null]), /results\[1\]/],
    ['says that it failed', failed({ executionSuccessful: false }), /says that the scan failed$/],
    [
      'says why it did not start',
      failed({ processStartFailureMessage: 'not\u001b[31m found' }),
      /scan failed: not\\x1b\[31m found$/,
    ],
    [
      'tells of an error on the way',
      failed({
        toolExecutionNotifications: [{ level: 'warning' }, { level: 'error', message: { text: 'no database' } }],
      }),
      /scan failed: no database$/,
    ],
    [
      'tells of an error in its configuration',
      failed({ toolConfigurationNotifications: [{ level: 'error' }] }),
      /scan failed$/,
    ],
    [
      'keeps its results in other files',
      sarif([], { externalPropertyFileReferences: { results: [{ location: { uri: 'results.json' } }] } }),
      /outside of its runs/,
    ],
    [
      'keeps its results beside its runs',
      { ...sarif([]), inlineExternalProperties: [{ results: [{ level: 'error' }] }] },
      /outside of its runs/,
    ],
    ['is of SARIF 1', { ...sarif([]), version: '1.0.0' }, /another SARIF version/],
    ['has a number for its version', { ...sarif([]), version: 2.1 }, /another SARIF version/],
    ['is something else', { bomFormat: 'CycloneDX' }, /unknown format/],
    ['names a schema that is no text', { $schema: ['sarif'] }, /unknown format/],
  ])('because it %s is refused', (_, report, message) => {
    expect(() => parse(report)).toThrowError(
      expect.objectContaining({ code: 'ReportInvalid', message: expect.stringMatching(message) }),
    );
  });

  it('is not one with an empty list of results: that is clean', () => {
    expect(counted(sarif([]))).toEqual({});
    expect(Object.keys(parse(sarif([])).facts)).toHaveLength(11);
    expect(
      counted(
        sarif([], { invocations: [{ executionSuccessful: true, toolExecutionNotifications: [{ level: 'note' }] }] }),
      ),
    ).toEqual({});
    expect(counted({ ...sarif([]), inlineExternalProperties: [{ results: [] }, {}] })).toEqual({});
  });

  it('is not made one by --format', () => {
    expect(() => parseReport(bytesOf({ bomFormat: 'CycloneDX' }), 'sarif')).toThrowError(/no list of runs/);
    expect(parseReport(bytesOf({ runs: [{ results: [] }] }), 'sarif')).toMatchObject({ format: 'sarif' });
  });

  it('is sent where it belongs when it is OpenVEX', () => {
    expect(() => parse({ '@context': 'https://openvex.dev/ns/v0.2.0' })).toThrowError(
      expect.objectContaining({ hint: 'it is OpenVEX: use --vex' }),
    );
  });
});

describe('the tool', () => {
  const run = (driver: unknown) => ({ tool: { driver }, results: [] });

  it.each<[string, unknown[], string, string | null]>([
    ['of the first run that names one', [run({}), run({ name: 'grype' }), run({ name: 'trivy' })], 'grype', null],
    ['with the first version', [run({ name: 'a' }), run({ name: 'b', version: '2' })], 'a', '2'],
    ['with its semantic version where it has no other', [run({ name: 'a', semanticVersion: '1.2.3' })], 'a', '1.2.3'],
    [
      'unknown where none names one',
      [run(null), run({ name: 7 }), run({ name: ' ' }), { results: [] }],
      'unknown',
      null,
    ],
    [
      'without its control characters',
      [run({ name: 'gr\u0000y\u001b[2Jp\u202ee', version: '1\n2' })],
      'gr\\x00y\\x1b[2Jp\\u{202e}e',
      '1\\x0a2',
    ],
    ['without half a character', [run({ name: 'a\ud800b' })], 'a\ufffdb', null],
    ['cut short', [run({ name: '😀'.repeat(1000) })], `${'😀'.repeat(99)}…`, null],
  ])('is that %s', (_, runs, tool, toolVersion) => {
    expect(parse({ runs })).toMatchObject({ tool, toolVersion });
  });
});

describe('the hash of the rules', () => {
  const hash = (ruleset: unknown) => ({ properties: { ruleset_hash: ruleset } });

  it.each<[string, unknown, string | undefined]>([
    ['of the first run that has one', { runs: [{ results: [hash('c')] }, { results: [], ...hash('b') }] }, 'b'],
    ['else of the first result', { runs: [{ results: [{}, hash('c'), hash('d')] }] }, 'c'],
    ['left out where there is none', sarif([]), undefined],
    ['left out where it is no text', { runs: [{ results: [], ...hash(7) }] }, undefined],
  ])('is that %s', (_, report, expected) => {
    expect(parse(report).facts['ruleset.hash']).toBe(expected);
  });
});

describe('whatever a report holds', () => {
  const key = fc.constantFrom(
    ...[
      'runs',
      'results',
      'tool',
      'driver',
      'extensions',
      'rules',
      'id',
      'ruleId',
      'ruleIndex',
      'rule',
      'index',
      'kind',
    ],
    ...['level', 'properties', 'security-severity', 'suppressions', 'status', 'baselineState', 'invocations', 'name'],
    ...[
      'executionSuccessful',
      'toolExecutionNotifications',
      'toolComponent',
      'version',
      '$schema',
      '__proto__',
      'guid',
    ],
  );
  const leaf = fc.oneof(
    fc.constantFrom(
      null,
      true,
      0,
      -1,
      9.8,
      '9.8',
      'sarif',
      'error',
      'pass',
      'accepted',
      'absent',
      'A',
      'A/b',
      '\u001b',
    ),
    fc.string(),
    fc.double(),
  );
  const { value } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 6, withCrossShrink: true },
      leaf,
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(key, tie('value'), { maxKeys: 5 }),
    ),
  }));
  const whole = sarif(
    [
      { ruleId: 'A', level: 'error' },
      { ruleId: 'B', kind: 'fail' },
    ],
    {
      driver: { rules: [{ id: 'A', properties: { 'security-severity': '9.8' } }] },
      invocations: [{ executionSuccessful: true }],
    },
  );

  /** Puts a value where the path leads; what is in the way gives way. */
  function mutate(report: unknown, path: readonly string[], put: unknown): unknown {
    const [step, ...rest] = path;
    if (step === undefined) return put;
    if (Array.isArray(report)) return report.map((one, at) => (at === 0 ? mutate(one, rest, put) : one));
    const object = typeof report === 'object' && report !== null ? report : {};
    return { ...object, [step]: mutate((object as Record<string, unknown>)[step], rest, put) };
  }

  function check(report: unknown): void {
    let facts: Readonly<Record<string, string>>;
    try {
      ({ facts } = parse(report));
    } catch (error) {
      expect(error).toBeInstanceOf(HoubaError);
      expect(error).toMatchObject({ code: 'ReportInvalid' });
      return;
    }
    const runs = (JSON.parse(JSON.stringify(report)) as { runs: { results: unknown }[] }).runs;
    expect(runs.length).toBeGreaterThan(0);
    const isClean = Object.entries(facts).every(([name, count]) => name === 'ruleset.hash' || count === '0');
    if (isClean) for (const run of runs) expect(Array.isArray(run.results)).toBe(true);
    for (const [name, fact] of Object.entries(facts)) expect(fact).toMatch(name === 'ruleset.hash' ? /./ : /^\d+$/);
  }

  it('it is counted or refused: nothing made up is a clean scan', () => {
    fc.assert(fc.property(value, check), { numRuns: 500 });
    fc.assert(
      fc.property(fc.array(value), (runs) => check({ runs })),
      { numRuns: 500 },
    );
  });

  it('so it is when one part of a good report is something else', () => {
    const path = fc.array(key, { minLength: 1, maxLength: 6 });
    const real = fc.constantFrom(
      ['runs'],
      ['runs', 'r'],
      ['runs', 'r', 'results'],
      ['runs', 'r', 'results', 'x'],
      ['runs', 'r', 'results', 'x', 'level'],
      ['runs', 'r', 'tool'],
      ['runs', 'r', 'tool', 'driver'],
      ['runs', 'r', 'tool', 'driver', 'rules'],
      ['runs', 'r', 'tool', 'driver', 'rules', 'x', 'properties'],
      ['runs', 'r', 'invocations', 'x', 'executionSuccessful'],
    );
    fc.assert(
      fc.property(fc.oneof(path, real), value, (where, put) => check(mutate(whole, where, put))),
      { numRuns: 1_000 },
    );
  });
});
