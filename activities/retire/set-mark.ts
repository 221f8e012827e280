import type { Digest } from '../../domain/digest.js';
import { HoubaError } from '../../domain/errors.js';
import type { Mark, PlacedMark } from '../../domain/lifecycle/mark.js';
import { markChanges } from '../../domain/lifecycle/mark-changes.js';
import { formatRepository, formatTagged } from '../../domain/reference.js';
import type { OperationLine } from '../../domain/report/run/journal.js';
import type { DestinationRepository } from '../../domain/roster.js';
import { removeManifests } from '../deletion/remove-manifests.js';
import type { Dependencies } from '../dependencies.js';
import { putMark, rememberMarks } from '../repository/marks.js';
import { type RepositoryAt, repositoryAt } from '../repository/repository-at.js';
import { step } from '../step.js';

export interface MarkRequest {
  readonly destination: DestinationRepository;
  /** null: the marks that name no tag. */
  readonly tag: string | null;
  readonly digest: Digest;
  /** The mark to make; null: none. */
  readonly put: Mark | null;
  /** The marks to clear where `put` is null, never one that protects a restored tag; left out: all of the tag's. */
  readonly remove?: readonly Digest[];
  readonly journal: Partial<OperationLine>;
}

/**
 * Sets or clears a tag's mark (docs/rules/retention.md#a-marked-tag-is-never-unmarked-for-a-moment,
 * docs/rules/retention.md#a-right-mark-keeps-its-time, docs/rules/retention.md#a-restored-tag-stays). @returns whether
 * a mark was made. @throws HoubaError `PreconditionFailed` when the tag has moved
 */
export function createSetMark(deps: Dependencies) {
  return step(async (request: MarkRequest, { signal }): Promise<boolean> => {
    const { destination, tag, digest, put } = request;
    const at = repositoryAt(deps, destination, signal);
    if (put !== null) await refuseMoved(at, request);
    const all = await at.marks(digest);
    const own = all.filter(({ mark }) => mark.tag === tag);
    const change = put === null ? { put, remove: toClear(request, own) } : changeTo(put, digest, own);
    const added = change.put === null ? [] : [await putMark(deps, at, digest, change.put)];
    const over = change.remove.map((referrer) => ({ digest: referrer, subject: digest }));
    const { leftBehind } = await removeManifests(deps, destination, over, signal);
    const gone = new Set(change.remove.filter((referrer) => !leftBehind.includes(referrer)));
    rememberMarks(deps, destination, digest, [...all.filter(({ referrer }) => !gone.has(referrer)), ...added]);
    // An attempt whose answer was lost may have made the mark already.
    const made = added.length > 0 || (put !== null && own.some(({ mark }) => isSame(mark, put)));
    if (made) deps.journal.event('operation', { ...request.journal, out_digest: digest, applied: true });
    else if (gone.size > 0) deps.journal.event('mark.cleared', { dest: formatRepository(destination), tag, digest });
    return made;
  });
}

function toClear({ remove }: MarkRequest, own: readonly PlacedMark[]): Digest[] {
  return own.map(({ referrer }) => referrer).filter((referrer) => remove === undefined || remove.includes(referrer));
}

function changeTo(put: Mark, digest: Digest, own: readonly PlacedMark[]) {
  const { tag, reason, identity, markedAt } = put;
  const standing = { tag: tag ?? '', digest, reason, identity };
  return markChanges([standing], new Map([[digest, own]]), markedAt)[0] ?? { put: null, remove: [] };
}

function isSame(mark: Mark, put: Mark): boolean {
  return mark.state === put.state && mark.reason === put.reason && mark.markedAt === put.markedAt;
}

async function refuseMoved(at: RepositoryAt, { destination, tag, digest }: MarkRequest): Promise<void> {
  const name = tag ?? digest;
  if ((await at.head(name)) === digest) return;
  throw new HoubaError('PreconditionFailed', `${formatTagged(destination, name)} was moved during the run`, {
    hint: 'the next run plans anew',
  });
}
