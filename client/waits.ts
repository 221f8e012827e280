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
  /** `settle`: for its moved digest to stand still; `retire`: it is marked, and for its deletion. */
  readonly kind: 'settle' | 'retire';
  /** `host/repository:tag` at the destination. */
  readonly reference: string;
  readonly workflowId: string;
  readonly policy: string;
  readonly digest: string;
  readonly phase: string;
  /** RFC 3339; null: when somebody releases or approves it, or nobody knows. */
  readonly dueAt: string | null;
  /** It does not get any further by itself. */
  readonly needsHuman: boolean;
  /** Since when the digest stands, RFC 3339; null, as what follows: no worker answers for it now, or it is to be deleted. */
  readonly standsSince: string | null;
  /** When a run last saw that it waits, RFC 3339. */
  readonly seenAt: string | null;
  readonly attempt: number | null;
  readonly held: HumanWord | null;
  /** Of a deletion: why it stands where it stands. */
  readonly reason: string | null;
  readonly lastError: string | null;
}

/** A tag at its destination. */
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

/** How long a worker has to answer a query; one that is there answers far sooner. */
const ANSWERS_WITHIN_MS = 5_000;

const IN_FLIGHT = 10;

/** Lists every wait, the one due first in front; where no worker answers, by what visibility knows. */
export async function listWaits(client: Client): Promise<WaitSummary[]> {
  const limit = pLimit(IN_FLIGHT);
  const asked: Promise<WaitSummary | null>[] = [];
  let answered = true;
  const ask = async (info: WorkflowExecutionInfo): Promise<WaitSummary | null> => {
    const status = answered ? await askStatus(client, info.workflowId) : undefined;
    // One that has ended since has nothing to say; one that is silent speaks for the others.
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

/** Queries the status of a wait. @returns undefined when nobody answers, null when the wait is over */
async function askStatus(client: Client, workflowId: string): Promise<AnyStatus | null | undefined> {
  try {
    return await client.withDeadline(Date.now() + ANSWERS_WITHIN_MS, () =>
      client.workflow.getHandle(workflowId).query<AnyStatus>(QUERIES.status),
    );
  } catch (error) {
    return error instanceof WorkflowNotFoundError ? null : undefined;
  }
}

/** The status of either kind of wait, as far as it has these. */
type AnyStatus = Status & { readonly dueAt?: string | null } & Partial<WaitStatus & Pick<RetireStatus, 'reason'>>;

function summaryOf(info: WorkflowExecutionInfo, status: AnyStatus | undefined): WaitSummary {
  const { typedSearchAttributes: known, workflowId } = info;
  return {
    kind: info.type === WORKFLOWS.retire ? 'retire' : 'settle',
    reference: `${known.get(REPOSITORY) ?? '?'}:${known.get(TAG) ?? '?'}`,
    workflowId,
    // Visibility keeps the name under which it last did something.
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

/**
 * The status or the result, in a sentence, of a workflow that is no reconcile; empty where it did not end by itself.
 */
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
 * Tells a tag's wait what a person has decided. A promotion answers once the digest has been placed, or has not.
 *
 * @throws HoubaError `NotFound` when nothing is waited for, what the wait refuses, and `ToolFailed` when a promoted digest
 * could not be placed
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
