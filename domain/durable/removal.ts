import type { Digest } from '../digest.js';
import type { Mark } from '../lifecycle/mark.js';
import { formatPinned, formatTagged } from '../reference.js';
import { newOperation, type Operation } from '../report/run-report.js';
import type { DestinationRepository, Position } from './placement.js';

/** The mark of one tag to set, replace or clear. */
export interface PlannedMark {
  readonly kind: 'set' | 'replace' | 'clear';
  readonly position: Position;
  readonly destination: DestinationRepository;
  /** null: marks that name no tag. */
  readonly tag: string | null;
  /** What the tag resolved to when this was planned. */
  readonly digest: Digest;
  /** null: the tag has none. */
  readonly put: Mark | null;
  /** The source's, for the report. */
  readonly baseDigest: Digest | null;
}

/** A tag to delete at once. */
export interface PlannedDeletion {
  readonly position: Position;
  readonly destination: DestinationRepository;
  readonly tag: string;
  readonly digest: Digest;
  readonly baseDigest: Digest;
}

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
