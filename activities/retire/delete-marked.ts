import type { Digest } from '../../domain/digest.js';
import type { Judgement, MarkedTag, RetireDecision, Retired } from '../../domain/durable/retire.js';
import { TRY_AGAIN } from '../../domain/durable/retry.js';
import { HoubaError } from '../../domain/errors.js';
import { pendingMark, restoredMark } from '../../domain/lifecycle/mark.js';
import { isFresh } from '../../domain/lifecycle/retire.js';
import { formatRepository, formatTagged } from '../../domain/reference.js';
import { operationLine } from '../../domain/report/run/journal.js';
import { createTagDeleter, type DeletionList, type DeletionRequest } from '../deletion/delete-tags.js';
import { removeManifests } from '../deletion/remove-manifests.js';
import { isBeingDeleted } from '../deletion/remove-tag.js';
import type { Dependencies } from '../dependencies.js';
import { putMark, rememberMarks } from '../repository/marks.js';
import { repositoryAt } from '../repository/repository-at.js';
import { step } from '../step.js';
import { lookAtMark } from './look-at-mark.js';

export interface DoomedMark extends MarkedTag {
  readonly digest: Digest;
}

export interface RetireRequest {
  readonly marked: DoomedMark;
  /** The manifests that may go with the tag, listed before anything was deleted. */
  readonly list: DeletionList;
  /** When the oracle was asked, ms since 1970; left out: not known. */
  readonly askedAtMs?: number;
  readonly facts: Readonly<Record<string, unknown>>;
}

type RetireResult = { readonly judgement: Judgement } | { readonly retired: Retired };

/** Lists the manifests that may go with a marked tag, before anything is deleted. */
export function createListRetirement(deps: Dependencies) {
  const deleter = createTagDeleter(deps);
  return step((marked: DoomedMark, context) => deleter.inspect(requestFor(marked, {}), context));
}

/**
 * Deletes a marked tag after a last look, given a fresh answer about its use, with what nothing needs any more. May run
 * twice. @throws HoubaError `Unsupported` when the registry does not delete tags, and what a registry throws
 */
export function createDeleteMarked(deps: Dependencies) {
  const deleter = createTagDeleter(deps);
  return step(async ({ marked, list, askedAtMs, facts }: RetireRequest, context): Promise<RetireResult> => {
    const { judgement, subject } = await lookAtMark(deps, marked, context.signal);
    const at = repositoryAt(deps, marked.destination, context.signal);
    // Once a deletion has begun there is only forward (docs/rules/purge.md#a-deletion-that-has-begun-is-ended).
    const gone = judgement.act === 'end' && (judgement.gone || (await isBeingDeleted(at, marked.tag)));
    if (judgement.act !== 'delete' && !gone) return { judgement };
    if (!gone && !isFresh(askedAtMs, Date.now())) return { judgement: later(marked.digest, STALE, 0) };
    // The sweep that found the tag may have read another mark, or none.
    const policy = subject?.stamp.policy ?? marked.policy;
    const busy = await deps.whoIsAtWork(policy, marked.destination);
    if (busy !== null && !gone)
      return { judgement: later(marked.digest, `${busy} is at work in the repository`, TRY_AGAIN.busyMs) };
    // The tag is gone: a retry, and no verdict, so that the rest is not forgotten.
    if (busy !== null) throw new HoubaError('Interrupted', `${busy} is at work in the repository`);
    const { outcomes, leftBehind } = await deleter.delete(
      { ...requestFor({ ...marked, policy }, facts), list },
      context,
    );
    const [outcome] = outcomes;
    if (outcome?.deleted) return { retired: { leftBehind } };
    if (outcome?.error != null) throw failureOf(outcome.error);
    const reason = outcome?.kept ?? 'it was kept';
    return { judgement: { act: 'end', digest: marked.digest, reason, gone: false } };
  });
}

const STALE = 'who uses it was asked too long ago';

function later(digest: Digest, reason: string, afterMs: number): Judgement {
  return { act: 'wait', why: 'unknown', digest, untilMs: Date.now() + afterMs, reason };
}

function failureOf({ type, message }: { readonly type: string; readonly message: string }): HoubaError {
  return new HoubaError(type === 'Unsupported' || type === 'Denied' ? type : 'PreconditionFailed', message);
}

function requestFor(marked: DoomedMark, facts: Readonly<Record<string, unknown>>): DeletionRequest {
  const { destination, tag, digest, policy } = marked;
  const whose = { policy, dest: formatRepository(destination), variant: '' };
  const operation = { kind: 'deleted', out_tag: tag, src_tag: null, digest } as const;
  const journal = { ...operationLine(whose, operation, { applied: true, out_digest: digest }), ...facts };
  return { destination, policy, tags: [{ tag, digest, journal }] };
}

export interface RestoreRequest {
  readonly marked: MarkedTag;
  readonly word: RetireDecision;
}

/**
 * Replaces a pending mark by one that protects. @returns the digest. @throws HoubaError `PreconditionFailed`: no mark
 */
export function createRestoreTag(deps: Dependencies) {
  return step(async ({ marked, word }: RestoreRequest, { signal }): Promise<Digest> => {
    const { destination, tag } = marked;
    const name = formatTagged(destination, tag);
    const at = repositoryAt(deps, destination, signal);
    const digest = await at.head(tag);
    if (digest === null) {
      throw new HoubaError('PreconditionFailed', `there is no ${name}`, {
        hint: 'a tag that was deleted comes back when a policy selects it: `houba reconcile`',
      });
    }
    const wanted = word.digest ?? digest;
    if (wanted !== digest) {
      throw new HoubaError('PreconditionFailed', `${name} shows ${digest}, not ${wanted}`);
    }
    const marks = await at.marks(digest);
    const own = marks.filter(({ mark }) => mark.tag === tag);
    const pending = own.filter(({ mark }) => mark.state === 'pending-deletion');
    const restored = own.filter(({ mark }) => mark.state === 'restored');
    const placed = pendingMark(own, tag) ?? pending[0];
    if (placed === undefined && restored.length === 0) {
      throw new HoubaError('PreconditionFailed', `${name} has no deletion mark`, {
        hint: 'there is nothing to restore',
      });
    }
    const added =
      restored.length > 0 || placed === undefined
        ? []
        : [await putMark(deps, at, digest, restoredMark(placed.mark, word.by, word.reason, Date.now()))];
    const victims = pending.map(({ referrer }) => referrer);
    await removeManifests(
      deps,
      destination,
      victims.map((referrer) => ({ digest: referrer, subject: digest })),
      signal,
    );
    const left = marks.filter(({ referrer }) => !victims.includes(referrer));
    rememberMarks(deps, destination, digest, [...left, ...added]);
    if (added.length > 0) {
      const { by, reason } = word;
      deps.journal.event('tag.restored', { dest: formatRepository(destination), tag, digest, by, reason });
    }
    return digest;
  });
}
