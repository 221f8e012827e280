import type { Digest } from '../../domain/digest.js';
import type { Judgement } from '../../domain/durable/retire.js';
import { TRY_AGAIN } from '../../domain/durable/retry.js';
import { type PlacedMark, pendingMark, readMarks } from '../../domain/lifecycle/mark.js';
import { lastLook } from '../../domain/lifecycle/retire.js';
import type { DestinationRepository } from '../../domain/roster.js';
import type { RecordedStamp } from '../../domain/stamp/annotations.js';
import { stampOf } from '../../domain/stamp/stamp-of.js';
import { purgeWindow } from '../deletion/ask-oracle.js';
import type { Dependencies } from '../dependencies.js';
import { repositoryAt } from '../repository/repository-at.js';
import { isWanted } from './still-wanted.js';

interface LookedAt {
  readonly judgement: Judgement;
  /** The image to delete; null: there is none. */
  readonly subject: { readonly digest: Digest; readonly stamp: RecordedStamp; readonly marks: PlacedMark[] } | null;
}

/**
 * Reads all that a deletion relies on, except the use (docs/rules/purge.md#the-last-look).
 * @param digest null: the one that the tag shows
 */
export async function lookAtMark(
  deps: Dependencies,
  { destination, tag, digest }: { destination: DestinationRepository; tag: string; digest: Digest | null },
  signal: AbortSignal,
): Promise<LookedAt> {
  const windowMs = purgeWindow(deps);
  const { settings } = deps;
  const at = repositoryAt(deps, destination, signal);
  const nowMs = Date.now();
  const current = await at.find(tag);
  if (current === null) return nothing({ act: 'end', digest, reason: 'the tag is gone already', gone: true });
  const meant = digest ?? current;
  const referrers = await at.referrers(current);
  const marks = readMarks(current, referrers, settings.prefix);
  const { manifest } = await at.manifest(current);
  const stamp = stampOf(manifest, referrers, tag, settings.prefix);
  const word = lastLook({ tag, digest: meant, current, stamp, marks }, nowMs, windowMs);
  if (word.act === 'end') return nothing({ ...word, digest: meant, gone: false });
  if (word.act === 'wait') {
    return nothing({ ...word, digest: meant, why: 'mark', reason: 'its idle window is not over' });
  }
  const placed = pendingMark(marks, tag);
  if (stamp === null || placed === null) throw new Error('a tag without a stamp or a mark is not deleted');
  if (settings.dryRunDeletions) {
    return nothing({ act: 'end', digest: meant, reason: 'HOUBA_DRY_RUN_DELETIONS is set', gone: false });
  }
  const wanted = await isWanted(deps, at, { tag, digest: meant, stamp, marks, mark: placed.mark });
  if (wanted === true) return nothing({ act: 'end', digest: meant, reason: 'a policy wants the tag', gone: false });
  if (wanted !== false) {
    const reason = `nobody can tell whether a policy wants the tag: ${wanted.unknown}`;
    const untilMs = nowMs + Math.min(windowMs, TRY_AGAIN.unknownMs);
    return nothing({ act: 'wait', why: 'unknown', digest: meant, untilMs, reason });
  }
  const needsApproval = settings.purgeRequireApproval;
  const judgement = { act: 'delete', digest: meant, reason: 'its idle window is over', needsApproval } as const;
  return { judgement, subject: { digest: meant, stamp, marks } };
}

function nothing(judgement: Judgement): LookedAt {
  return { judgement, subject: null };
}
