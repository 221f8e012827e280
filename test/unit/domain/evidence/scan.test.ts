import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { digestOf } from '../../../../domain/digest.js';
import { readScanBundle, readScanPredicate, scanJsonSchema, scanPredicate } from '../../../../domain/evidence/scan.js';

const REPORT = digestOf(Buffer.from('report'));
const WHOLE = {
  scanner: { name: 'grype', version: '0.90.0' },
  report_digest: REPORT,
  attested_at: '2026-03-08T00:00:00Z',
  summary: { 'vuln.high': '2' },
};
const READ = { scanner: 'grype', report: REPORT, attestedAt: WHOLE.attested_at, summary: WHOLE.summary };
const NOTHING = { scanner: 'scan', report: null, attestedAt: null, summary: null };

describe('a scan predicate', () => {
  it.each([
    ['the whole', WHOLE, READ],
    ['no scanner', { ...WHOLE, scanner: undefined }, { ...READ, scanner: 'scan' }],
    ['a scanner that is null', { ...WHOLE, scanner: null }, { ...READ, scanner: 'scan' }],
    ['a scanner without a name', { ...WHOLE, scanner: {} }, { ...READ, scanner: null }],
    ['a report that is no digest', { ...WHOLE, report_digest: 'report' }, { ...READ, report: null }],
    ['a time that is no text', { ...WHOLE, attested_at: 7 }, { ...READ, attestedAt: null }],
    ['counts that are no text', { ...WHOLE, summary: { 'vuln.high': 2 } }, { ...READ, summary: null }],
    ['no object', 'scan', NOTHING],
    ['nothing', undefined, NOTHING],
  ])('of %s is read field by field', (_, predicate, read) => {
    expect(readScanPredicate(predicate)).toEqual(read);
  });
});

describe('a bundle', () => {
  const bundle = (predicate: unknown) => {
    const payload = Buffer.from(JSON.stringify({ predicate })).toString('base64');
    return Buffer.from(JSON.stringify({ dsseEnvelope: { payload } }));
  };

  it('holds the predicate in its payload', () => {
    expect(readScanBundle(bundle(WHOLE))).toEqual(READ);
  });

  it.each(['', '{}', '{"dsseEnvelope":{"payload":7}}', '{"dsseEnvelope":{"payload":"bm8="}}'])(
    '%j says nothing',
    (text) => {
      expect(readScanBundle(Buffer.from(text))).toEqual(NOTHING);
    },
  );
});

describe('the predicate that attach signs', () => {
  const facts = { 'vuln.high': '2', 'ruleset.hash': 'abc' };
  const about = { report: REPORT, attestedAt: WHOLE.attested_at, builderId: '' };
  const made = scanPredicate({ tool: 'grype', toolVersion: null, format: 'sarif' }, facts, about);

  it('says an empty version where there is none, and who attached it', () => {
    expect(made).toEqual({
      ...WHOLE,
      scanner: { name: 'grype', version: '' },
      format: 'sarif',
      summary: facts,
      builder_id: 'https://houba.dev/builder',
    });
    expect(readScanPredicate(made)).toEqual({ ...READ, summary: facts });
  });

  it('has the JSON Schema that is published, and no other field', () => {
    const published = JSON.parse(readFileSync('docs/reference/predicates/scan.schema.json', 'utf8'));
    expect(published, 'bin/houba schema scan-predicate > docs/reference/predicates/scan.schema.json').toEqual(
      scanJsonSchema(),
    );
    const validate = new Ajv2020({ strict: true, formats: { 'date-time': true } }).compile(published);
    expect(validate(made), JSON.stringify(validate.errors)).toBe(true);
    expect(validate({ ...made, surprise: 1 })).toBe(false);
  });
});
