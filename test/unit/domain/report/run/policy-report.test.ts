import { randomBytes } from 'node:crypto';
import { defaultPayloadConverter, type PayloadCodec } from '@temporalio/common';
import { describe, expect, it } from 'vitest';
import { dataConverter } from '../../../../../config/payload-codec.js';
import type { ReportedError } from '../../../../../domain/errors.js';
import {
  addCounted,
  addOperation,
  finishReport,
  type PolicyReport,
  setError,
  setTargets,
  startReport,
} from '../../../../../domain/report/run/policy-report.js';
import type { Position } from '../../../../../domain/report/run/position.js';
import { noCounts, type OperationKind } from '../../../../../domain/report/run/run-report.js';
import { operation } from './report-samples.js';

const VARIANTS = [
  { name: 'default', suffix: '' },
  { name: 'eu', suffix: '-eu' },
];
const FIRST: Position = { target: 0, variant: 0 };
const ERROR: ReportedError = { type: 'NotFound', message: 'gone', exit_code: 2 };

function report(repositories = ['registry.example/lib/redis']): PolicyReport {
  const started = startReport('redis', 'redis.yaml');
  setTargets(
    started,
    repositories.map((dest_repo) => ({ dest_repo, variants: VARIANTS })),
  );
  return started;
}

describe('a report', () => {
  it('adds up from variants to targets to the policy', () => {
    const one = report(['registry.example/a', 'registry.example/b']);
    addOperation(one, FIRST, operation());
    addOperation(one, { target: 0, variant: 1 }, operation({ error: ERROR }));
    addOperation(one, { target: 1, variant: null }, operation({ kind: 'marked' }));
    addCounted(one, { target: 1, variant: 1 }, 'skipped', 40);
    const node = finishReport(one);
    expect(node.totals).toEqual({ ...noCounts(), imported: 1, failed: 1, marked: 1, skipped: 40 });
    expect(node.targets.map(({ totals }) => totals)).toEqual([
      { ...noCounts(), imported: 1, failed: 1 },
      { ...noCounts(), marked: 1, skipped: 40 },
    ]);
    expect(node.targets[0]?.variants.map(({ status }) => status)).toEqual(['ok', 'failed']);
    expect(node.targets.map(({ status }) => status)).toEqual(['partial', 'ok']);
    expect(node.targets[1]?.operations).toHaveLength(1);
    expect(node.status).toBe('partial');
  });

  it('lists placements first, then inventories, then aliases, each in the order they came', () => {
    const one = report();
    const kinds: OperationKind[] = ['aliased', 'sbom', 'restamped', 'imported', 'held', 'sbom', 'updated'];
    kinds.forEach((kind, index) => {
      addOperation(one, FIRST, operation({ kind, out_tag: String(index) }));
    });
    const listed = finishReport(one).targets[0]?.variants[0]?.operations.map(({ out_tag }) => out_tag);
    expect(listed).toEqual(['2', '3', '4', '6', '1', '5', '0']);
  });

  it('keeps the targets of the first page', () => {
    const one = report();
    setTargets(one, [{ dest_repo: 'registry.example/other', variants: [] }]);
    expect(finishReport(one).targets.map(({ dest_repo }) => dest_repo)).toEqual(['registry.example/lib/redis']);
  });

  it('passes over what belongs to no target of it', () => {
    const one = report();
    addOperation(one, { target: 7, variant: 0 }, operation());
    addCounted(one, { target: 7, variant: null }, 'skipped', 1);
    expect(finishReport(one).totals).toEqual(noCounts());
  });

  it.each([
    ['failed, when nothing was found out', [], [], 'failed'],
    ['partial, when other targets went on', ['registry.example/a'], [operation()], 'partial'],
    ['partial, when the other targets had nothing to do', ['registry.example/a'], [], 'partial'],
    ['failed, when all else failed too', ['registry.example/a'], [operation({ error: ERROR })], 'failed'],
  ] as const)('of a policy with an error is %s', (_, repositories, operations, status) => {
    const one = report([...repositories]);
    for (const each of operations) addOperation(one, FIRST, each);
    setError(one, ERROR);
    setError(one, { ...ERROR, type: 'Denied' });
    expect(finishReport(one)).toMatchObject({ status, error: { type: 'NotFound' } });
  });
});

describe('a report of very many operations', () => {
  const random = () => `sha256:${randomBytes(32).toString('hex')}`;
  const digests = () => ({ digest: random(), out_digest: random() });

  it('lists 5,000, counts the rest and says that it is cut', () => {
    const one = report();
    for (let index = 0; index < 6_000; index++)
      addOperation(
        one,
        FIRST,
        operation({ ...digests(), out_tag: `7.2.${index}-alpine`, src_tag: `7.2.${index}-alpine` }),
      );
    const node = finishReport(one);
    expect(node.targets[0]?.variants[0]?.operations).toHaveLength(5_000);
    expect(node.totals.imported).toBe(6_000);
    expect(one.cut).toBe(1_000);
  });

  it('keeps the failures that come late', () => {
    const one = report();
    for (let index = 0; index < 5_500; index++) addOperation(one, FIRST, operation());
    for (let index = 0; index < 600; index++) addOperation(one, FIRST, operation({ error: ERROR }));
    const failures = finishReport(one).targets[0]?.variants[0]?.operations.filter(({ error }) => error !== null);
    expect(failures).toHaveLength(500);
    expect(finishReport(one).totals).toMatchObject({ imported: 5_500, failed: 600 });
    expect(one.cut).toBe(600);
  });

  it('shortens long messages', () => {
    const one = report();
    addOperation(one, FIRST, operation({ error: { ...ERROR, message: `${'x'.repeat(5_000)} (hint)` } }));
    const [listed] = finishReport(one).targets[0]?.variants[0]?.operations ?? [];
    expect(listed?.error?.message).toBe(`${'x'.repeat(200)}…${'x'.repeat(293)} (hint)`);
  });

  const noise = (length: number) => randomBytes(length).toString('base64url').slice(0, length);
  it.each([
    [
      'ordinary tags',
      (index: number) => `${index % 9}.${index}-alpine`,
      () => `no registry.example/redis@${random()}`,
      4_500,
    ],
    ['tags named by commits', () => `main-${random().slice(7, 47)}`, () => 'no', 3_000],
    ['the longest tags and messages', () => noise(128), () => noise(600), 1_500],
  ])('travels in less than 512 KiB, with %s', async (_, tag, message, atLeast) => {
    const one = report();
    for (let index = 0; index < 8_000; index++) {
      const name = tag(index);
      const error = index % 10 === 0 ? { ...ERROR, message: message() } : null;
      addOperation(one, FIRST, operation({ ...digests(), out_tag: name, src_tag: name, error }));
    }
    const codec = dataConverter.payloadCodecs?.[0] as PayloadCodec;
    // As a result, and as what a run that continues as new carries along.
    for (const value of [finishReport(one), one]) {
      const [payload] = await codec.encode([defaultPayloadConverter.toPayload(value)]);
      expect(payload?.data?.length).toBeLessThan(512 * 1024);
    }
    expect(one.operations.length).toBeGreaterThanOrEqual(atLeast);
    expect(one.operations.length + one.cut).toBe(8_000);
  });
});
