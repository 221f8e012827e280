import { Context } from '@temporalio/activity';
import type { BuildActivities, RegistryActivities, SignActivities } from '../../activities/index.js';
import { type StepContext, step } from '../../activities/step.js';
import { digestOf } from '../../domain/digest.js';
import { outcomeOf } from '../../domain/durable/retire.js';
import type { Placement } from '../../domain/plan/work.js';
import { formatRepository } from '../../domain/reference.js';
import { type AuditOutcome, auditPart, NO_SCAN } from '../../domain/report/audit-report.js';
import { planPage } from './durable-samples.js';

export type Steps = RegistryActivities & BuildActivities & SignActivities;
export type StepName = keyof Steps;
export type Input<Name extends StepName> = Parameters<Steps[Name]>[0];

/** What a test plays instead of the real steps. It may throw a `HoubaError`, which fails the step as in production. */
export type Fakes = {
  readonly [Name in StepName]: (input: Input<Name>, context: StepContext) => ReturnType<Steps[Name]>;
};

/** One execution of a step; a retry is another one. */
export type Call = { readonly [Name in StepName]: { readonly step: Name; readonly input: Input<Name> } }[StepName];

/** Everything works and nothing was there before. */
export const HAPPY: Fakes = {
  openFleet: async (input) => ({
    own: (input.policies ?? []).map(({ policy }) => policy.metadata.name),
    policies: null,
    dryRun: false,
    concurrency: 4,
  }),
  planPolicy: async () => planPage(),
  observeTags: async ({ waits }) => waits.map(() => ({ readyAt: null, reason: null, error: null })),
  withdrawWaits: async () => 0,
  withdrawOrphans: async () => 0,
  lookAgain: async ({ aliases, candidates }) => ({
    ...{ upstream: candidates[0] ?? null, current: null, placed: null },
    ...{ aliases, fetchable: candidates },
  }),
  verifyUpstream: async () => 'sha256:0123',
  inspectPlacement: async (placement) => inspected(placement),
  inspectBuild: async (placement) => ({ ...inspected(placement), built: [] }),
  writeImage: async () => undefined,
  writeBuild: async () => undefined,
  keepEvidence: async () => undefined,
  attachSboms: async () => 1,
  signEvidence: async () => 1,
  putStamp: async ({ digest }) => stampedDigest(`beside ${digest}`),
  publishTag: async () => true,
  dropOldStamps: async () => ({ leftBehind: [] }),
  setMark: async ({ put }) => put !== null,
  inspectDeletion: async ({ tags }) => ({ manifests: tags.map(({ digest }) => digest) }),
  deleteTags: async ({ tags }) => ({
    outcomes: tags.map(({ tag }) => ({ tag, deleted: true, kept: null, error: null })),
    leftBehind: [],
  }),
  openSweep: async ({ apply }) => ({ mode: apply ? 'apply' : 'dry-run', registries: ['main'], concurrency: 4 }),
  findMarks: async () => ({ found: [], settled: [], next: null }),
  listRepositories: async () => ({ repositories: [], unread: [], next: null }),
  handOver: async ({ marked }) => ({
    outcome: outcomeOf(marked, { act: 'end', digest: marked.digest, reason: 'gone', gone: true }),
    begun: true,
  }),
  judgeTag: async ({ digest }) => ({ act: 'delete', digest, reason: 'not seen in use', needsApproval: false }),
  listRetirement: async ({ digest }) => ({ manifests: [digest] }),
  deleteMarked: async () => ({ retired: { leftBehind: [] } }),
  restoreTag: async ({ marked, word }) => word.digest ?? marked.digest ?? stampedDigest('restored'),
  planCollection: async () => ({ outcomes: [], scans: [], manifests: [], kept: [], more: false }),
  collect: async () => ({ leftBehind: [] }),
  openAudit: async ({ registries, signed }) => ({
    ...{ registries: registries ?? ['main'], hosts: ['registry.example'], verified: signed, concurrency: 4 },
  }),
  auditRepository: async ({ repository }) => auditPart([auditOutcome(`${formatRepository(repository)}:1`)], 3),
  removeStamp: async () => ({ leftBehind: [] }),
  removeWritten: async () => ({ leftBehind: [] }),
};

function inspected({ destination, tag }: Placement) {
  const stamped = stampedDigest(`${destination.path}:${tag}`);
  return { stamped, revision: null, stampedPresent: false, originalPresent: false };
}

/** A covered image that was asked for nothing else. */
export function auditOutcome(image_ref: string, facts: Partial<AuditOutcome> = {}): AuditOutcome {
  const found = { covered: true, signed: null, sbom: null, ...NO_SCAN, policy: 'redis', error: null };
  return { image_ref, digest: stampedDigest(image_ref), ...found, ...facts };
}

/** What the happy inspections say will be published. */
export function stampedDigest(name: string) {
  return digestOf(new TextEncoder().encode(`stamped ${name}`));
}

/** Activities that look up what to play at each call, inside the product's own `step`, and note it down first. */
export function stepsPlaying(fakes: () => Fakes, note: (call: Call) => void): Steps {
  const playing = <Name extends StepName>(name: Name) =>
    step((input: Input<Name>, context) => {
      note({ step: name, input } as Call);
      return (fakes()[name] as (input: Input<Name>, context: StepContext) => Promise<unknown>)(input, context);
    }) as Steps[Name];
  return {
    openFleet: playing('openFleet'),
    planPolicy: playing('planPolicy'),
    observeTags: playing('observeTags'),
    withdrawWaits: playing('withdrawWaits'),
    withdrawOrphans: playing('withdrawOrphans'),
    lookAgain: playing('lookAgain'),
    verifyUpstream: playing('verifyUpstream'),
    inspectPlacement: playing('inspectPlacement'),
    inspectBuild: playing('inspectBuild'),
    writeImage: playing('writeImage'),
    writeBuild: playing('writeBuild'),
    keepEvidence: playing('keepEvidence'),
    attachSboms: playing('attachSboms'),
    signEvidence: playing('signEvidence'),
    putStamp: playing('putStamp'),
    publishTag: playing('publishTag'),
    dropOldStamps: playing('dropOldStamps'),
    setMark: playing('setMark'),
    inspectDeletion: playing('inspectDeletion'),
    deleteTags: playing('deleteTags'),
    openSweep: playing('openSweep'),
    findMarks: playing('findMarks'),
    listRepositories: playing('listRepositories'),
    handOver: playing('handOver'),
    judgeTag: playing('judgeTag'),
    listRetirement: playing('listRetirement'),
    deleteMarked: playing('deleteMarked'),
    restoreTag: playing('restoreTag'),
    planCollection: playing('planCollection'),
    collect: playing('collect'),
    openAudit: playing('openAudit'),
    auditRepository: playing('auditRepository'),
    removeStamp: playing('removeStamp'),
    removeWritten: playing('removeWritten'),
  };
}

/** A step that does its work until it is cancelled, and learns so at once. */
export async function untilCancelled({ signal }: StepContext): Promise<never> {
  const beat = setInterval(() => Context.current().heartbeat(), 50);
  try {
    return await new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason));
    });
  } finally {
    clearInterval(beat);
  }
}

/** A place where steps wait for a test: it learns when the first has come, and lets all of them go on. */
export interface Gate {
  readonly reached: Promise<void>;
  enter(): void;
  /** Enters, waits, and gives the value. */
  hold<Value>(value: Value): Promise<Value>;
  open(): void;
}

export function createGate(): Gate {
  let enter = () => {};
  let open = () => {};
  const reached = new Promise<void>((resolve) => {
    enter = resolve;
  });
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  const hold = async <Value>(value: Value) => {
    enter();
    await opened;
    return value;
  };
  return { reached, enter, hold, open };
}
