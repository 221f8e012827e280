import { condition, log, setCurrentDetails, upsertSearchAttributes } from '@temporalio/workflow';
import type { Digest } from '../domain/digest.js';
import {
  failedOutcome,
  type Judgement,
  type MarkedTag,
  outcomeOf,
  type RetireDecision,
  type Retired,
  type RetireOrder,
  type RetireStatus,
} from '../domain/durable/retire.js';
import { TRY_AGAIN } from '../domain/durable/retry.js';
import type { ReportedError } from '../domain/errors.js';
import { type HumanWord, wordProblem } from '../domain/human-word.js';
import { formatInstant } from '../domain/instant.js';
import { formatRepository, formatTagged } from '../domain/reference.js';
import type { PurgeOutcome } from '../domain/report/purge-report.js';
import { failure } from './failures.js';
import { waitAttributes } from './search-attributes.js';

export interface CarriedRetirement {
  readonly marked: MarkedTag;
  readonly requireApproval: boolean;
  readonly approved: (HumanWord & { readonly digest: Digest }) | null;
  readonly judgement: Judgement | null;
  readonly error: ReportedError | null;
  readonly retryAtMs: number | null;
  /** What goes with the tag, once it is being deleted. */
  readonly list: readonly Digest[] | null;
  /** Other tags that need some of it. */
  readonly witnesses?: readonly string[];
}

/** The state of one marked tag, beside the process of `retireTag`. */
export class RetireState {
  private marked: MarkedTag;
  private requireApproval: boolean;
  private approved: CarriedRetirement['approved'];
  private judgement: Judgement | null;
  private error: ReportedError | null;
  private retryAtMs: number | null;
  private list: readonly Digest[] | null;
  private witnesses: readonly string[] | undefined;
  private phase = 'starting';
  private phaseSince = Date.now();
  private attributes = '';
  /** Grows with everything that makes an earlier judgement void. */
  private orders = 0;
  private restoring = 0;
  private word: HumanWord | null = null;
  private retired: Retired | null = null;
  private over = false;

  constructor(first: RetireOrder, carried: CarriedRetirement | undefined) {
    const { requireApproval, ...marked } = first;
    this.marked = carried?.marked ?? marked;
    this.requireApproval = carried?.requireApproval ?? requireApproval;
    this.approved = carried?.approved ?? null;
    this.judgement = carried?.judgement ?? null;
    this.error = carried?.error ?? null;
    this.retryAtMs = carried?.retryAtMs ?? null;
    this.list = carried?.list ?? null;
    this.witnesses = carried?.witnesses;
  }

  carry(): CarriedRetirement {
    const { marked, requireApproval, approved, judgement, error, retryAtMs, list } = this;
    return { marked, requireApproval, approved, judgement, error, retryAtMs, list, ...this.seenBeside() };
  }

  /** Takes a sweep's order: what is unknown or failed is tried again, another digest is judged anew. */
  order({ requireApproval, ...marked }: RetireOrder): void {
    this.requireApproval ||= requireApproval;
    if (this.list !== null) {
      this.retryAtMs = null;
      return;
    }
    const doubtful = this.judgement?.act === 'wait' && this.judgement.why === 'unknown';
    const moved = marked.digest !== null && marked.digest !== this.marked.digest;
    if (moved) {
      this.marked = marked;
      this.approved = null;
    }
    if (!moved && !doubtful && this.error === null) return;
    this.judgement = null;
    this.retryAtMs = null;
    this.orders += 1;
  }

  approve({ by, reason, digest }: RetireDecision): RetireStatus {
    if (digest !== null) this.approved = { by, reason, digest };
    // Approving may take days: use is asked again.
    if (this.judgement?.act === 'delete') {
      this.judgement = null;
      this.orders += 1;
    }
    this.tell('retirement.approved', { by, reason });
    return this.status();
  }

  /** Nothing is deleted while somebody restores the tag. */
  async restore(word: RetireDecision, put: (marked: MarkedTag) => Promise<unknown>): Promise<RetireStatus> {
    this.restoring += 1;
    try {
      await put(this.marked);
      this.word = { by: word.by, reason: word.reason };
      this.error = null;
      return { ...this.status(), phase: 'restored', dueAt: null, reason: `restored by ${word.by}: ${word.reason}` };
    } finally {
      this.restoring -= 1;
    }
  }

  refuseApproval(word: RetireDecision): void {
    if (word.digest === null) throw failure('PreconditionFailed', 'an approval names the digest that was looked at');
    this.refuseStale(word);
  }

  refuseStale({ digest, ...word }: RetireDecision): void {
    if (this.over) throw failure('PreconditionFailed', 'it is over');
    if (this.phase === 'deleting') {
      throw failure('PreconditionFailed', 'it is being deleted at this moment');
    }
    if (digest !== null && this.marked.digest !== null && digest !== this.marked.digest) {
      throw failure('PreconditionFailed', `the marked digest is ${this.marked.digest} by now, not ${digest}`);
    }
    const problem = wordProblem(word);
    if (problem !== null) throw failure('ConfigInvalid', problem);
  }

  question(): MarkedTag {
    return this.marked;
  }

  next(): Next {
    if (this.word !== null || this.retired !== null) return { act: 'end' };
    if (this.restoring > 0) return { act: 'wait', untilMs: null };
    const now = Date.now();
    if (this.retryAtMs !== null && now < this.retryAtMs) return { act: 'wait', untilMs: this.retryAtMs };
    if (this.list !== null) return { act: 'delete', list: this.list };
    const said = this.judgement;
    if (said === null) return { act: 'judge' };
    if (said.act === 'end') return { act: 'end' };
    if (said.act === 'wait') {
      return now < said.untilMs ? { act: 'wait', untilMs: said.untilMs } : { act: 'judge' };
    }
    return this.awaitsApproval() ? { act: 'wait', untilMs: null } : { act: 'list' };
  }

  async change({ untilMs }: { readonly untilMs: number | null }): Promise<void> {
    this.settle(untilMs);
    const isOther = () => {
      const next = this.next();
      return next.act !== 'wait' || next.untilMs !== untilMs;
    };
    if (untilMs === null) return await condition(isOther);
    const summary = `${this.marked.tag} is looked at again at ${formatInstant(untilMs)}`;
    await condition(isOther, Math.max(1, untilMs - Date.now()), { summary });
  }

  /** Whether it waits or is over, so that a sweep gets its answer. */
  isSettled(): boolean {
    return this.over || (this.restoring === 0 && this.next().act === 'wait');
  }

  judged(judgement: Judgement, asked: number): void {
    this.error = null;
    this.retryAtMs = null;
    if (asked !== this.orders) return;
    this.judgement = judgement;
    this.marked = { ...this.marked, digest: judgement.digest };
    this.voidApproval(judgement);
    if (judgement.act !== 'delete') return;
    this.requireApproval ||= judgement.needsApproval;
  }

  /** The number to give back with the judgement that is asked for now. */
  orderNumber(): number {
    return this.orders;
  }

  doomed(): MarkedTag & { readonly digest: Digest } {
    const { marked } = this;
    if (marked.digest === null) throw failure('Internal', 'a deletion without a digest');
    return { ...marked, digest: marked.digest };
  }

  /** From here on there is no way back. */
  begin(list: readonly Digest[], witnesses?: readonly string[]): void {
    // It may have been restored or moved meanwhile.
    if (this.next().act !== 'list') return;
    this.list = list;
    this.witnesses = witnesses;
  }

  seenBeside(): { readonly witnesses?: readonly string[] } {
    return this.witnesses === undefined ? {} : { witnesses: this.witnesses };
  }

  stays(judgement: Judgement): void {
    this.voidApproval(judgement);
    this.list = null;
    this.error = null;
    this.retryAtMs = null;
    this.judgement = judgement;
  }

  went(retired: Retired): void {
    this.retired = retired;
    this.error = null;
    this.tell('retirement.done', { ...retired, approved_by: this.approved?.by ?? null });
  }

  failed(error: ReportedError): void {
    this.error = error;
    this.retryAtMs = Date.now() + TRY_AGAIN.retirementMs;
    this.tell('retirement.failed', { error: error.message, error_type: error.type });
  }

  asked(): { readonly askedAtMs?: number } {
    const { judgement } = this;
    return judgement?.act === 'delete' && judgement.askedAtMs !== undefined ? { askedAtMs: judgement.askedAtMs } : {};
  }

  facts(): Record<string, unknown> {
    const reason = this.judgement?.reason ?? '';
    const { approved } = this;
    return approved === null ? { reason } : { reason, approved_by: approved.by, approved_reason: approved.reason };
  }

  outcome(): PurgeOutcome {
    const { marked, judgement, error, retired, word } = this;
    if (word !== null) {
      const reason = `restored by ${word.by}: ${word.reason}`;
      return outcomeOf(marked, { act: 'end', digest: marked.digest, reason, gone: false });
    }
    if (error !== null) {
      const due = this.retryAtMs === null ? null : formatInstant(this.retryAtMs);
      return { ...failedOutcome(marked, error), due_at: due };
    }
    if (retired !== null) {
      const left = retired.leftBehind.length;
      const more = left === 0 ? '' : `; the registry keeps ${left} manifests`;
      const reason = `${judgement?.reason ?? 'it was due'}${more}`;
      const gone = { act: 'delete', digest: marked.digest, reason, needsApproval: false } as const;
      return { ...outcomeOf(marked, gone), applied: true };
    }
    if (judgement === null) return { ...outcomeOf(marked, UNDER_WAY), decision: 'wait' };
    const outcome = outcomeOf(marked, judgement);
    if (judgement.act !== 'delete' || !this.awaitsApproval()) return outcome;
    return { ...outcome, decision: 'wait', reason: `${judgement.reason}; somebody has to approve` };
  }

  close(): PurgeOutcome {
    this.over = true;
    this.enter('ended');
    return this.outcome();
  }

  status(): RetireStatus {
    const { phase, approved, error } = this;
    const next = this.next();
    const digest = this.marked.digest;
    return {
      phase,
      since: formatInstant(this.phaseSince),
      ...(digest === null ? {} : { digest }),
      dueAt: next.act === 'wait' && next.untilMs !== null ? formatInstant(next.untilMs) : null,
      reason: this.outcome().reason,
      approved: approved && { by: approved.by, reason: approved.reason },
      ...(error === null ? {} : { lastError: error.message }),
    };
  }

  enter(phase: string): void {
    if (phase !== this.phase) this.phaseSince = Date.now();
    this.phase = phase;
    this.show();
  }

  /** A sighting or a new mark was not known to whoever approved. */
  private voidApproval(judgement: Judgement): void {
    if (judgement.act === 'wait' && judgement.why !== 'unknown') this.approved = null;
  }

  private awaitsApproval(): boolean {
    return this.requireApproval && this.approved?.digest !== this.marked.digest;
  }

  private settle(untilMs: number | null): void {
    if (this.restoring > 0) this.enter('restoring');
    else if (untilMs === null) this.enter('awaiting approval');
    else this.enter(untilMs === this.retryAtMs ? 'retrying' : 'waiting');
  }

  private show(): void {
    const { destination, tag, digest, policy } = this.marked;
    const { dueAt, reason } = this.status();
    const needsHuman = this.phase === 'awaiting approval' || (this.list !== null && this.error !== null);
    const at = { policy, repository: formatRepository(destination), tag, digest: digest ?? '', phase: this.phase };
    const attributes = JSON.stringify([at, dueAt, needsHuman]);
    if (attributes === this.attributes) return;
    this.attributes = attributes;
    upsertSearchAttributes(waitAttributes({ ...at, dueAt: dueAt === null ? null : new Date(dueAt), needsHuman }));
    setCurrentDetails(`${this.phase}: ${reason}${dueAt === null ? '' : `, due at ${dueAt}`}`);
  }

  private tell(event: string, facts: Readonly<Record<string, unknown>>): void {
    const { destination, tag, digest, policy } = this.marked;
    log.info(event, { policy, reference: formatTagged(destination, tag), digest, ...facts });
  }
}

type Next =
  | { readonly act: 'judge' }
  | { readonly act: 'list' }
  | { readonly act: 'end' }
  | { readonly act: 'wait'; readonly untilMs: number | null }
  | { readonly act: 'delete'; readonly list: readonly Digest[] };

const UNDER_WAY = { act: 'end', digest: null, reason: 'it is being looked at', gone: false } as const;
