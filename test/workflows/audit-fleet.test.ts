import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { AuditInput } from '../../domain/durable/audit.js';
import type { Progress } from '../../domain/durable/messages.js';
import { QUERIES, QUEUES, WORKFLOWS } from '../../domain/durable/names.js';
import { HoubaError } from '../../domain/errors.js';
import { type AuditReport, auditExitCode, auditPart } from '../../domain/report/audit-report.js';
import { DESTINATION } from '../support/durable-samples.js';
import { auditOutcome, createGate, type Fakes, untilCancelled } from '../support/fake-steps.js';
import { openStage, type Stage } from '../support/workflow-env.js';

let stage: Stage;
let runs = 0;

beforeAll(async () => {
  stage = await openStage(inject('workflowBundle'));
});
afterAll(() => stage.close());

const ALL: AuditInput = { registries: null, repositories: null, signed: false, sbom: false, limit: null };
const NO_GATES = { uncovered: false, unsigned: false, noSbom: false, unscanned: false };

function start(input: Partial<AuditInput> = {}) {
  const args = [{ ...ALL, ...input }];
  return stage.client.workflow.start(WORKFLOWS.audit, {
    ...{ args, taskQueue: QUEUES.flow, workflowId: `audit-${runs++}` },
  });
}

async function audit(input: Partial<AuditInput> = {}): Promise<AuditReport> {
  return (await (await start(input)).result()) as AuditReport;
}

/** Pages of repositories, each of as many images as the number behind its name says. */
function fleet(...pages: readonly (readonly string[])[]): Pick<Fakes, 'listRepositories' | 'auditRepository'> {
  return {
    listRepositories: async ({ cursor }) => {
      const at = cursor === null ? 0 : pages.findIndex((page) => page.at(-1) === cursor.path) + 1;
      const page = pages[at] ?? [];
      const last = page.at(-1) ?? '';
      return {
        repositories: page.map((path) => ({ ...DESTINATION, path })),
        ...{ unread: [], passedOver: [] },
        next: at + 1 < pages.length ? { registry: 'main', path: last, tag: null } : null,
      };
    },
    auditRepository: async ({ repository: { path }, limit }) => {
      const images = Math.min(Number(path.slice(1)), limit ?? Number.POSITIVE_INFINITY);
      return auditPart(
        Array.from({ length: images }, (_, index) => auditOutcome(`r.example/${path}:${index}`)),
        images,
      );
    },
  };
}

describe('an audit', () => {
  it('looks at every repository, page by page, and lists the images in order', async () => {
    stage.play(fleet(['c1', 'd2'], ['a1']));
    const report = await audit({ signed: true });
    expect(report).toMatchObject({
      verified: true,
      registries: ['registry.example'],
      counts: { scanned: 4, covered: 4 },
    });
    expect(report.outcomes.map(({ image_ref }) => image_ref)).toEqual([
      ...['r.example/a1:0', 'r.example/c1:0', 'r.example/d2:0', 'r.example/d2:1'],
    ]);
    expect(stage.inputs('openAudit')).toHaveLength(1);
    expect(stage.inputs('auditRepository')).toMatchObject(Array(3).fill({ signed: true, sbom: false, limit: null }));
    expect(stage.inputs('auditRepository')[0]).not.toHaveProperty('scanned');
  });

  it('asks for scans of an age, adds up all requests, and names what it did not walk', async () => {
    const { listRepositories, auditRepository } = fleet(['c1', 'd2'], ['a1']);
    stage.play({
      auditRepository,
      listRepositories: async (...args) => ({ ...(await listRepositories(...args)), requests: 5 }),
      openAudit: async () => ({
        ...{
          registries: ['main'],
          hosts: ['registry.example'],
          sourcesSkipped: ['hub'],
          verified: false,
          concurrency: 4,
        },
      }),
    });
    const report = await audit({ scanned: true, maxAgeMs: 7 * 86_400_000 });
    expect(report).toMatchObject({ requests: 2 * 5 + 4, sources_skipped: ['hub'], max_age: '7d' });
    expect(stage.inputs('auditRepository')).toMatchObject(Array(3).fill({ scanned: true, maxAgeMs: 604_800_000 }));
  });

  it('goes on past an image, a repository and a registry that cannot be read, and tells of all', async () => {
    const error = { type: 'Unsupported', message: 'no catalogue', exit_code: 1 };
    const { listRepositories, auditRepository } = fleet(['a1', 'b1', 'c1']);
    stage.play({
      listRepositories: async (...args) => ({
        ...(await listRepositories(...args)),
        ...{ unread: [{ name: 'dead.example', error }], passedOver: [{ name: 'mute.example', error }] },
      }),
      auditRepository: async (request, context) => {
        if (request.repository.path === 'b1') throw new HoubaError('Denied', 'the registry refuses');
        if (request.repository.path === 'c1')
          return auditPart([auditOutcome('r.example/c1:0', { covered: null, error })], 1);
        return auditRepository(request, context);
      },
    });
    const report = await audit();
    expect(report.counts).toMatchObject({ scanned: 2, covered: 1, uncovered: 0, errored: 4 });
    expect(report.outcomes.map(({ image_ref, error }) => [image_ref, error?.type])).toEqual([
      ['dead.example', 'Unsupported'],
      ['mute.example', 'Unsupported'],
      ['r.example/a1:0', undefined],
      ['r.example/c1:0', 'Unsupported'],
      ['registry.example/b1', 'Denied'],
    ]);
    expect(auditExitCode(report, NO_GATES)).toBe(2);
  });

  it('looks at no more images than it was told', async () => {
    stage.play(fleet(['a2', 'b3', 'c1'], ['d1']));
    expect((await audit({ limit: 4 })).counts.scanned).toBe(4);
    expect(stage.inputs('auditRepository').map(({ limit }) => limit)).toEqual([4, 2]);
    expect(stage.inputs('listRepositories')).toHaveLength(1);
  });

  it('fails before it looks at anything when a registry is not in the roster', async () => {
    stage.play({
      openAudit: async () => {
        throw new HoubaError('ConfigInvalid', 'no such registry');
      },
    });
    await expect(audit({ registries: ['nope'] })).rejects.toThrow();
    expect(stage.inputs('listRepositories')).toEqual([]);
  });

  it('says where it is, and ends when it is cancelled', async () => {
    const gate = createGate();
    stage.play({
      ...fleet(['a1']),
      auditRepository: (_, context) => gate.hold(null).then(() => untilCancelled(context)),
    });
    const handle = await start();
    await gate.reached;
    expect(await handle.query<Progress>(QUERIES.progress)).toMatchObject({ done: 0, current: ['registry.example/a1'] });
    expect(await handle.query(QUERIES.status)).toMatchObject({ phase: 'auditing' });
    gate.open();
    await handle.cancel();
    await handle.result().catch(() => undefined);
    expect((await handle.describe()).status.name).toBe('CANCELLED');
  });
});
