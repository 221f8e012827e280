import { HoubaError, type ReportedError, reportError } from '../errors.js';
import { formatPinned, formatTagged } from '../reference.js';
import type { PlannedOperation } from '../report/run/position.js';
import { newOperation, type Operation, type OperationKind } from '../report/run/run-report.js';
import type { PlannedTransform } from '../transform/planned-transform.js';
import type { AliasDecision, PolicyPlan, TagDecision } from './plan.js';
import type { PlannedDeletion, PlannedMark, PlanPage } from './work.js';

export const OPERATION_OF: Readonly<Record<TagDecision['kind'], OperationKind>> = {
  import: 'imported',
  update: 'updated',
  restamp: 'restamped',
  held: 'held',
  keep: 'skipped',
  gone: 'imported',
  overlong: 'imported',
};

/** Reports the held tags that no wait tells of, and those that cannot be placed. */
export function settledOperations(plan: PolicyPlan): PlannedOperation[] {
  const operations: PlannedOperation[] = [];
  for (const tag of plan.tags) {
    if (tag.kind !== 'held' && tag.kind !== 'gone' && tag.kind !== 'overlong') continue;
    // The wait reports when the tag will be ready.
    if (tag.wait !== null) continue;
    const { position, operation } = tagOperation(tag, OPERATION_OF[tag.kind]);
    const error = tag.kind === 'gone' ? goneError(tag) : tag.kind === 'overlong' ? overlongError(tag.outTag) : null;
    const because = tag.reason === null ? {} : { reason: tag.reason };
    operations.push({ position, operation: { ...operation, error, ...because } });
  }
  for (const { target, variant, alias } of plan.overlong) {
    const operation = { ...newOperation('aliased', alias), error: overlongError(alias) };
    operations.push({ position: { target, variant }, operation });
  }
  return operations;
}

function overlongError(tag: string): ReportedError {
  return reportError(
    new HoubaError(
      'PolicyInvalid',
      `${tag} is no tag: with its suffix it has ${tag.length} characters of at most 128`,
      {
        hint: 'leave it out with excludeRegex, or use a shorter suffix',
      },
    ),
  );
}

function goneError(tag: TagDecision): ReportedError {
  return reportError(new HoubaError('NotFound', `the source lists the tag ${tag.sourceTag} but does not serve it`));
}

/** Lists the operations of a placement and its aliases, for a dry run. */
export function plannedPlacement(tag: TagDecision, transform: PlannedTransform | null): PlannedOperation[] {
  const { position, operation } = tagOperation(tag, OPERATION_OF[tag.kind]);
  const aliases = tag.aliases.map(({ alias }) => ({
    position,
    operation: { ...newOperation('aliased', alias), src_tag: tag.outTag, digest: tag.baseDigest },
  }));
  const steps = transform === null ? null : transform.steps.map((one) => one.name);
  return [{ position, operation: { ...operation, transform_steps: steps } }, ...aliases];
}

export function plannedBackfill(tag: TagDecision): PlannedOperation[] {
  return tag.needs.map((kind) => tagOperation(tag, kind));
}

export function plannedAlias(alias: AliasDecision): PlannedOperation {
  return {
    position: { target: alias.target, variant: alias.variant },
    operation: { ...newOperation('aliased', alias.alias), src_tag: alias.outTag, out_digest: alias.digest },
  };
}

function tagOperation(tag: TagDecision, kind: OperationKind): PlannedOperation {
  return {
    position: { target: tag.target, variant: tag.variant },
    operation: {
      ...newOperation(kind, tag.outTag),
      src_tag: tag.sourceTag,
      digest: tag.sourceDigest,
      out_digest: tag.kind === 'held' || tag.kind === 'keep' ? tag.current : null,
    },
  };
}

/** Counts kept tags, which are not listed (docs/rules/reports.md#planned-operations-count). */
export function countKept(plan: PolicyPlan): PlanPage['counted'] {
  return count(
    plan.tags
      .filter((tag) => tag.kind === 'keep' && tag.needs.length === 0)
      .map(({ target, variant }) => ({ position: { target, variant }, kind: 'skipped' })),
  );
}

export function countOperations(operations: readonly PlannedOperation[]): PlanPage['counted'] {
  return count(
    operations.map(({ position, operation: { kind, error } }) => ({
      position,
      kind: error === null ? kind : 'failed',
    })),
  );
}

function count(entries: readonly Pick<Counted, 'position' | 'kind'>[]): Counted[] {
  const counts = new Map<string, Counted>();
  for (const { position, kind } of entries) {
    const key = `${position.target} ${position.variant} ${kind}`;
    counts.set(key, { position, kind, count: (counts.get(key)?.count ?? 0) + 1 });
  }
  return [...counts.values()];
}

type Counted = PlanPage['counted'][number];

/** Builds the key by which a failed removal is not tried again in the run. */
export function removalKey({ destination, tag, digest }: PlannedDeletion | PlannedMark): string {
  return tag === null ? formatPinned(destination, digest) : formatTagged(destination, tag);
}

export function removalOperation(removal: PlannedDeletion | PlannedMark): Operation {
  const { tag, digest, baseDigest } = removal;
  const isMark = 'put' in removal;
  const reason = isMark ? removal.put?.reason : undefined;
  return {
    ...newOperation(isMark ? 'marked' : 'deleted', tag ?? ''),
    digest: baseDigest,
    out_digest: digest,
    ...(reason === undefined ? {} : { reason }),
  };
}
