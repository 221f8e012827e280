import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, expectTypeOf, it } from 'vitest';
import type { z } from 'zod';
import { requirements, verifyCommand } from '../../../../../client/cli/verbs/verify.js';
import type { VerifyReport } from '../../../../../domain/evidence/verify.js';
import {
  renderVerifyReport,
  type VerifyReportShape,
  verifyReportJsonSchema,
} from '../../../../../domain/evidence/verify-report.js';

type Frozen<T> = T extends object ? { readonly [Key in keyof T]: Frozen<T[Key]> } : T;

const DIGEST = `sha256:${'a'.repeat(64)}`;
const REPORT: VerifyReport = {
  schema_version: 1,
  ref: 'registry.example/cache/redis:7',
  digest: DIGEST,
  passed: false,
  requirements: [
    { requirement: 'stamp', passed: true, detail: 'policy redis' },
    { requirement: 'signature', passed: false, detail: 'there is no \u001b[31mtransform attestation' },
  ],
};

describe('--require', () => {
  it.each([
    ['stamp', ['stamp']],
    ['sbom, stamp,sbom', ['sbom', 'stamp']],
    ['scan-pass,signature,provenance', ['scan-pass', 'signature', 'provenance']],
  ])('%j is %j', (text, names) => {
    expect(requirements(text)).toEqual(names);
  });

  it.each([
    ['stamp,signatures', /stamp, scan-pass, sbom, signature, provenance, not "signatures". Did you mean signature\?/],
    ['', /not ""/],
    ['stamp,', /not ""/],
    ['everything', /not "everything"\.$/],
  ])('%j is refused, with what is known', (text, message) => {
    expect(() => requirements(text)).toThrowError(
      expect.objectContaining({ code: 'commander.invalidArgument', message: expect.stringMatching(message) }),
    );
  });
});

describe('houba verify', () => {
  it.each<[string, string[], RegExp]>([
    ['without a host', ['redis:7'], /registry host/],
    ['without tag and digest', ['registry.example/redis'], /neither a tag nor a digest/],
    ['with half a digest', ['registry.example/redis@sha256:abc'], /digest/],
    [
      'an age without a scan',
      ['registry.example/redis:7', '--require', 'sbom', '--max-age', '7d'],
      /--max-age is about/,
    ],
    [
      'a severity without a scan',
      ['registry.example/redis:7', '--require', 'sbom', '--max-severity', 'high'],
      /--max-severity is about/,
    ],
  ])('%s is a bad argument, before anything is asked', async (_, words, message) => {
    const command = verifyCommand().exitOverride();
    await expect(command.parseAsync(words, { from: 'user' })).rejects.toMatchObject({
      code: 'ConfigInvalid',
      message: expect.stringMatching(message),
    });
  });

  it.each([
    ['--max-age', 'soon'],
    ['--max-age', '0'],
    ['--max-severity', 'severe'],
    ['--output', 'xml'],
  ])('%s %s is a bad argument', async (option, value) => {
    const command = verifyCommand()
      .exitOverride()
      .configureOutput({ writeErr: () => {} });
    await expect(
      command.parseAsync(['registry.example/redis:7', option, value], { from: 'user' }),
    ).rejects.toMatchObject({ code: 'commander.invalidArgument' });
  });
});

describe('the report', () => {
  it('is a line for each requirement, and the verdict; what a registry said is harmless', () => {
    expect(renderVerifyReport(REPORT)).toBe(
      [
        '✓ stamp       policy redis',
        '✗ signature   there is no \\x1b[31mtransform attestation',
        `FAILED registry.example/cache/redis:7 ${DIGEST} (1 of 2)`,
        '',
      ].join('\n'),
    );
  });

  it('does not repeat the digest of a reference that has it', () => {
    const ref = `registry.example/cache/redis@${DIGEST}`;
    const passed = { ...REPORT, ref, passed: true, requirements: REPORT.requirements.slice(0, 1) };
    expect(renderVerifyReport(passed)).toBe(`✓ stamp       policy redis\nPASSED ${ref}\n`);
  });

  it('has the JSON Schema that is published', () => {
    const published = JSON.parse(readFileSync('docs/reference/verify-report.schema.json', 'utf8'));
    expect(published).toEqual(verifyReportJsonSchema());
  });

  it('is exactly what the schema describes', () => {
    expectTypeOf<Frozen<z.infer<typeof VerifyReportShape>>>().toEqualTypeOf<Frozen<VerifyReport>>();
    const validate = new Ajv2020({ strict: true }).compile(verifyReportJsonSchema());
    expect(validate(REPORT), JSON.stringify(validate.errors)).toBe(true);
    expect(validate({ ...REPORT, surprise: 1 })).toBe(false);
  });
});
