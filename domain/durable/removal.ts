import type { PlannedDeletion, PlannedMark } from '../plan/work.js';
import { formatPinned, formatTagged } from '../reference.js';
import { newOperation, type Operation } from '../report/run/run-report.js';

/** How a removal that failed is remembered within a run: it is not tried again. */
export function removalKey({ destination, tag, digest }: PlannedDeletion | PlannedMark): string {
  return tag === null ? formatPinned(destination, digest) : formatTagged(destination, tag);
}

/** A removal in the report, not yet carried out. */
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
