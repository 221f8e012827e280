import { log, setCurrentDetails } from '@temporalio/workflow';
import { settleId } from '../domain/durable/ids.js';
import type { Progress, Status } from '../domain/durable/messages.js';
import type { ReportedError } from '../domain/errors.js';
import type { ItemPage } from '../domain/plan/plan-item.js';
import type { PlanRequest, PolicyInput } from '../domain/plan/request.js';
import type { PlanPage } from '../domain/plan/work.js';
import { failedLine, operationLine } from '../domain/report/run/journal.js';
import {
  addCounted,
  addNotes,
  addOperation,
  type PolicyReport,
  setError,
  setTargets,
  startReport,
} from '../domain/report/run/policy-report.js';
import type { Position } from '../domain/report/run/position.js';
import type { Operation } from '../domain/report/run/run-report.js';
import { reportFailure } from './failures.js';
import type { RemovalRecord } from './mark-or-delete-tags.js';

export interface PolicyProgress {
  readonly report: PolicyReport;
  /** `repository:tag` that are not tried again. */
  readonly failed: readonly string[];
  readonly done: number;
  readonly total: number;
  /** Pages that may follow: a plan that does not shrink has to end. */
  readonly pagesLeft: number;
  /** Left out by earlier versions. */
  readonly refused?: readonly string[];
  /** Waits that this run has observed, by workflow id. */
  readonly waiting?: readonly string[];
  /** Left out: all are observed. */
  readonly waitsAfter?: string;
}

export function takenBy({ placements, backfills, aliases, deletions = [], marks = [] }: PlanPage): number {
  return placements.length + backfills.length + aliases.length + deletions.length + marks.length;
}

/** The state of one run of a policy, beside the process above. */
export class PolicyRun implements RemovalRecord {
  readonly report: PolicyReport;
  readonly failed: string[];
  readonly policy: string;
  saved: ItemPage | undefined;
  private refused: readonly string[];
  status: Status = { phase: 'starting', since: new Date().toISOString() };
  pagesLeft: number;
  waiting: readonly string[] | undefined;
  private waitsAfter: string | null | undefined;
  private done: number;
  private total: number;
  private readonly current = new Set<string>();
  /** In plan order, whatever the order they end in. */
  private readonly ended: { index: number; position: Position; operation: Operation }[] = [];

  constructor(input: PolicyInput, carried: PolicyProgress | undefined) {
    this.policy = input.policy.metadata.name;
    this.report = carried?.report ?? startReport(this.policy, input.source);
    this.failed = [...(carried?.failed ?? [])];
    this.refused = carried?.refused ?? [];
    this.done = carried?.done ?? 0;
    this.total = carried?.total ?? input.plan?.items.length ?? 0;
    this.pagesLeft = carried?.pagesLeft ?? 0;
    this.waiting = carried?.waiting;
    this.waitsAfter = carried === undefined ? null : carried.waitsAfter;
  }

  request(): Pick<PlanRequest, 'failed' | 'refused' | 'waitsAfter'> {
    const { failed, refused, waitsAfter } = this;
    return {
      failed,
      ...(refused.length === 0 ? {} : { refused }),
      ...(waitsAfter === undefined ? {} : { waitsAfter }),
    };
  }

  get hasWaits(): boolean {
    return typeof this.waitsAfter === 'string';
  }

  enter(phase: string): void {
    this.status = { phase, since: new Date().toISOString() };
    setCurrentDetails(`${phase}: ${this.done} of ${this.total}`);
  }

  opened(page: PlanPage): void {
    setTargets(this.report, page.targets);
    if (page.error !== null) setError(this.report, page.error);
    addNotes(this.report, page.notes ?? []);
    for (const { position, kind, count } of page.counted) addCounted(this.report, position, kind, count);
    for (const { position, operation } of page.settled) addOperation(this.report, position, operation);
    this.report.cut += page.cut;
    this.saved = page.saved;
    this.waitsAfter = page.waitsAfter ?? undefined;
    if (page.waits !== undefined) {
      const seen = page.waits.map(({ placement: { destination, tag } }) => settleId(destination, tag));
      this.waiting = [...(this.waiting ?? []), ...seen];
    }
    this.refused = page.refused ?? [];
    const taken = takenBy(page);
    if (this.total === 0) {
      this.total = page.pending;
      this.pagesLeft = taken === 0 ? 0 : Math.ceil(page.pending / taken) + 1;
    }
    this.pagesLeft -= 1;
  }

  async working(tag: string, work: () => Promise<void>, items = 1): Promise<void> {
    this.current.add(tag);
    try {
      await work();
      this.done += items;
    } finally {
      this.current.delete(tag);
    }
  }

  /** Runs a step that is an operation of its own. @returns whether it worked */
  async attempt(
    index: number,
    position: Position,
    operation: Operation,
    failureKey: string,
    work: () => Promise<unknown>,
  ): Promise<boolean> {
    let error: ReportedError | null = null;
    try {
      await work();
    } catch (thrown) {
      error = reportFailure(thrown);
    }
    const applied = error === null;
    this.record(index, position, { ...operation, applied, error }, applied ? null : failureKey);
    return applied;
  }

  record(index: number, position: Position, operation: Operation, failureKey: string | null): void {
    this.ended.push({ index, position, operation });
    if (failureKey === null || operation.error === null) return;
    this.failed.push(failureKey);
    const whose = { policy: this.policy, dest: this.repositoryAt(position), variant: this.variantAt(position) };
    log.error('operation.failed', failedLine(operationLine(whose, operation, { applied: false }), operation.error));
  }

  giveUp(failureKey: string): void {
    this.failed.push(failureKey);
  }

  close(): void {
    const inOrder = this.ended.sort((a, b) => a.index - b.index);
    for (const { position, operation } of inOrder) addOperation(this.report, position, operation);
  }

  carry(): PolicyProgress {
    const { report, failed, refused, done, total, pagesLeft, waiting, waitsAfter } = this;
    return {
      ...{ report, failed, refused, done, total, pagesLeft },
      ...(waiting === undefined ? {} : { waiting }),
      ...(typeof waitsAfter === 'string' ? { waitsAfter } : {}),
    };
  }

  progress(): Progress {
    return { done: this.done, total: this.total, current: [...this.current].slice(0, 20) };
  }

  repositoryAt(position: Position): string {
    return this.report.targets[position.target]?.dest_repo ?? '';
  }

  variantAt(position: Position): string {
    return position.variant === null
      ? ''
      : (this.report.targets[position.target]?.variants[position.variant]?.name ?? '');
  }
}
