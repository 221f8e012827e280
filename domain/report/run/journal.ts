import type { ReportedError } from '../../errors.js';
import type { Operation, OperationKind } from './run-report.js';

/** The fields of an `operation` line, in their order (docs/rules/reports.md#the-journal-has-one-event-a-line). */
export interface OperationLine extends OperationDetails {
  readonly policy: string;
  /** `host/repository`. */
  readonly dest: string;
  /** Empty for what belongs to no variant, such as a deletion. */
  readonly variant: string;
  readonly kind: OperationKind;
  readonly out_tag: string;
  readonly src_tag: string | null;
  /** Digest of the source. */
  readonly digest: string | null;
}

export interface OperationDetails {
  readonly applied?: boolean;
  /** What the tag resolves to. */
  readonly out_digest?: string;
  /** RFC 3339, of a held tag; null: nobody knows. */
  readonly ready_at?: string | null;
  readonly transform_steps?: readonly string[] | undefined;
  readonly reason?: string | undefined;
  readonly promoted_by?: string | undefined;
  readonly promoted_reason?: string | undefined;
}

/** Builds an `operation` line, without details that are undefined. */
export function operationLine(
  whose: Pick<OperationLine, 'policy' | 'dest' | 'variant'>,
  { kind, out_tag, src_tag, digest }: Pick<Operation, 'kind' | 'out_tag' | 'src_tag' | 'digest'>,
  details: OperationDetails = {},
): OperationLine {
  const { policy, dest, variant } = whose;
  const stated = Object.entries(details).filter(([, value]) => value !== undefined);
  return { policy, dest, variant, kind, out_tag, src_tag, digest, ...Object.fromEntries(stated) };
}

/** Builds an `operation.failed` line. */
export function failedLine(line: OperationLine, error: Omit<ReportedError, 'exit_code'> & Partial<ReportedError>) {
  const { type, message, exit_code } = error;
  return { ...line, error_type: type, error: message, ...(exit_code !== undefined && { exit_code }) };
}
