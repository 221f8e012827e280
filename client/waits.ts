import type { Client, WorkflowExecutionInfo } from '@temporalio/client';
import { defineSearchAttributeKey, WorkflowNotFoundError } from '@temporalio/common';
import pLimit from 'p-limit';
import type { Digest } from '../domain/digest.js';
import { settleId } from '../domain/durable/ids.js';
import type { Status } from '../domain/durable/messages.js';
import { QUERIES, SEARCH_ATTRIBUTES, WAIT_UPDATES, WORKFLOWS } from '../domain/durable/names.js';
import type { RetireStatus } from '../domain/durable/retire.js';
import type { WaitDecision, WaitStatus } from '../domain/durable/settle.js';
import { HoubaError } from '../domain/errors.js';
import type { HumanWord } from '../domain/human-word.js';
import { formatTagged, type Repository } from '../domain/reference.js';
import { compareText } from '../domain/text/compare-text.js';
import type { Workflows } from './workflow-types.js';

/** A tag that waits, to be taken over or to be deleted. */
export interface WaitSummary {
  /** `settle`: a moved digest has to stand still; `retire`: a marked tag will be deleted. */
  readonly kind: 'settle' | 'retire';
  /** `host/repository:tag` at the destination. */
  readonly reference: string;
  readonly workflowId: string;
  readonly policy: string;
  readonly digest: string;
  readonly phase: string;
  /** RFC 3339; null: it waits for a person, or is not known. */
  readonly dueAt: string | null;
  /** Whether the wait cannot go on without a person. */
  readonly needsHuman: boolean;
  /** Since when the digest stands, RFC 3339; null for a retirement, and while no worker answers. */
  readonly standsSince: string | null;
  /** When a run last observed the wait, RFC 3339; null likewise. */
  readonly seenAt: string | null;
  readonly attempt: number | null;
  readonly held: HumanWord | null;
  /** Why a retirement waits; null for a settling tag. */
  readonly reason: string | null;
  readonly lastError: string | null;
}

export interface WaitingTag {
  readonly repository: Repository;
  readonly tag: string;
}

/** `digest` null: whatever the wait shows now. */
export interface HumanDecision extends HumanWord {
  readonly digest: Digest | null;
}

const POLICY = defineSearchAttributeKey(...SEARCH_ATTRIBUTES.policy);
const REPOSITORY = defineSearchAttributeKey(...SEARCH_ATTRIBUTES.repository);
const TAG = defineSearchAttributeKey(...SEARCH_ATTRIBUTES.tag);
const DIGEST = defineSearchAttributeKey(...SEARCH_ATTRIBUTES.digest);
const PHASE = defineSearchAttributeKey(...SEARCH_ATTRIBUTES.phase);
const DUE_AT = defineSearchAttributeKey(...SEARCH_ATTRIBUTES.dueAt);
const NEEDS_HUMAN = defineSearchAttributeKey(...SEARCH_ATTRIBUTES.needsHuman);

/** How long a worker has to answer a query; a live one answers far sooner. */
const ANSWERS_WITHIN_MS = 5_000;

const IN_FLIGHT = 10;

/** Lists every wait, the next due first; from visibility alone where no worker answers. */
export async function listWaits(client: Client): Promise<WaitSummary[]> {
  const limit = pLimit(IN_FLIGHT);
  const asked: Promise<WaitSummary | null>[] = [];
  let answered = true;
  const ask = async (info: WorkflowExecutionInfo): Promise<WaitSummary | null> => {
    const status = answered ? await askStatus(client, info.workflowId) : undefined;
    // null: it has ended since. After one query without an answer the others are not asked.
    if (status === null) return null;
    if (status === undefined) answered = false;
    return summaryOf(info, status);
  };
  for await (const info of client.workflow.list({
    query: `WorkflowType IN ('${WORKFLOWS.settle}', '${WORKFLOWS.retire}') AND ExecutionStatus = 'Running'`,
  })) {
    asked.push(limit(ask, info));
  }
  const waits = (await Promise.all(asked)).filter((wait) => wait !== null);
  return waits.sort((a, b) => compareText(a.dueAt ?? '~', b.dueAt ?? '~') || compareText(a.reference, b.reference));
}

/** Queries the status of a wait. @returns undefined: nobody answers; null: the wait is over */
async function askStatus(client: Client, workflowId: string): Promise<AnyStatus | null | undefined> {
  try {
    return await client.withDeadline(Date.now() + ANSWERS_WITHIN_MS, () =>
      client.workflow.getHandle(workflowId).query<AnyStatus>(QUERIES.status),
    );
  } catch (error) {
    return error instanceof WorkflowNotFoundError ? null : undefined;
  }
}

/** The fields of either kind of status. */
type AnyStatus = Status & { readonly dueAt?: string | null } & Partial<WaitStatus & Pick<RetireStatus, 'reason'>>;

function summaryOf(info: WorkflowExecutionInfo, status: AnyStatus | undefined): WaitSummary {
  const { typedSearchAttributes: known, workflowId } = info;
  return {
    kind: info.type === WORKFLOWS.retire ? 'retire' : 'settle',
    reference: `${known.get(REPOSITORY) ?? '?'}:${known.get(TAG) ?? '?'}`,
    workflowId,
    // The search attribute holds the policy of the wait's last action.
    policy: status?.policy ?? known.get(POLICY) ?? '',
    digest: status?.digest ?? known.get(DIGEST) ?? '',
    phase: status?.phase ?? known.get(PHASE) ?? '',
    dueAt: status === undefined ? (known.get(DUE_AT)?.toISOString() ?? null) : (status.dueAt ?? null),
    needsHuman: known.get(NEEDS_HUMAN) ?? false,
    standsSince: status?.standsSince ?? null,
    seenAt: status?.seenAt ?? null,
    attempt: status?.attempt ?? null,
    held: status?.held ?? null,
    reason: status?.reason ?? null,
    lastError: status?.lastError ?? null,
  };
}

/** The status or result, in a sentence, of a workflow other than reconcile; empty where it did not complete. */
export async function wordOf(
  client: Client,
  { workflowId, type, status }: Pick<WorkflowExecutionInfo, 'workflowId' | 'type' | 'status'>,
): Promise<string> {
  const { workflow } = client;
  if (status.name === 'RUNNING') {
    const { phase, dueAt, lastError } = await workflow.getHandle(workflowId).query<AnyStatus>(QUERIES.status);
    const due = dueAt === undefined || dueAt === null ? '' : `, due ${dueAt}`;
    return `${phase}${due}${lastError === undefined ? '' : `: ${lastError}`}`;
  }
  if (status.name !== 'COMPLETED') return '';
  if (type === WORKFLOWS.settle) {
    const { outcome, digest, because } = await workflow.getHandle<Workflows['settleTag']>(workflowId).result();
    return `${outcome}${digest === null ? '' : ` ${digest}`}: ${because}`;
  }
  if (type !== WORKFLOWS.retire) return '';
  const { decision, applied, reason } = await workflow.getHandle<Workflows['retireTag']>(workflowId).result();
  return `${applied ? 'deleted' : decision}: ${reason}`;
}

/**
 * Sends a person's decision to a wait; a promotion answers once the digest has been placed, or has not. @throws
 * HoubaError `NotFound` without a wait, what the wait refuses, `ToolFailed` when a promoted digest could not be placed
 */
export async function decideWait(
  client: Client,
  verb: 'promote' | 'hold' | 'release',
  waiting: WaitingTag,
  { by, reason, digest: wanted }: HumanDecision,
): Promise<WaitStatus> {
  const name = formatTagged(waiting.repository, waiting.tag);
  const workflowId = settleId(waiting.repository, waiting.tag);
  const digest = wanted ?? (await digestOfWait(client, workflowId, name));
  const args: [WaitDecision] = [{ by, reason, digest }];
  let status: WaitStatus;
  try {
    status = await client.workflow
      .getHandle(workflowId)
      .executeUpdate<WaitStatus, [WaitDecision]>(WAIT_UPDATES[verb], { args });
  } catch (error) {
    throw error instanceof WorkflowNotFoundError ? noWait(name) : error;
  }
  if (verb !== 'promote' || status.taken?.digest === digest) return status;
  throw new HoubaError(
    'ToolFailed',
    `${name} was promoted, but is not taken over: ${status.lastError ?? status.phase}`,
    {
      hint: 'it is tried again after an hour, or when you promote it once more',
    },
  );
}

async function digestOfWait(client: Client, workflowId: string, name: string): Promise<Digest> {
  const handle = client.workflow.getHandle(workflowId);
  try {
    if ((await handle.describe()).status.name === 'RUNNING')
      return (await handle.query<WaitStatus>(QUERIES.status)).digest;
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
  }
  throw noWait(name);
}

function noWait(name: string): HoubaError {
  return new HoubaError('NotFound', `nothing is waited for at ${name}`, {
    hint: '`houba waiting` lists every tag that waits; name it as it is at the destination',
  });
}
