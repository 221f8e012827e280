/** Exit codes by error code (docs/rules/errors.md#an-error-has-one-class); `durable/retry.ts` says what is retried. */
export const EXIT_CODES = {
  PolicyInvalid: 1,
  ReferenceInvalid: 1,
  SignatureInvalid: 1,
  PreconditionFailed: 1,
  GateBreached: 1,
  Unsupported: 1,
  NotFound: 2,
  Unauthorized: 2,
  Denied: 2,
  DigestMismatch: 2,
  BuildFailed: 2,
  ToolMissing: 2,
  CompensationFailed: 2,
  RateLimited: 2,
  RegistryUnavailable: 2,
  BuilderUnavailable: 2,
  Interrupted: 2,
  ToolFailed: 2,
  ConfigInvalid: 3,
  Internal: 4,
} as const satisfies Record<string, number>;

export type ErrorCode = keyof typeof EXIT_CODES;

export interface ErrorDetail {
  readonly hint?: string;
  readonly cause?: unknown;
  /** Redacted facts: registry, status, digest. Never a credential. */
  readonly facts?: Readonly<Record<string, string | number>>;
  /** The wait that the server asked for. */
  readonly retryAfterMs?: number;
}

/** Fact of a failed publication: no tag can show its image (docs/rules/durability.md#what-was-sent-to-a-tag-stays). */
export const NOTHING_SENT = 'nothing_sent';

/** The one error that crosses a boundary: a stable code, what and where in the message, what next in the hint. */
export class HoubaError extends Error {
  override readonly name = 'HoubaError';
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly facts: Readonly<Record<string, string | number>>;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string, detail: ErrorDetail = {}) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
    this.code = code;
    this.hint = detail.hint;
    this.facts = detail.facts ?? {};
    this.retryAfterMs = detail.retryAfterMs;
  }
}

export function isErrorCode(text: unknown): text is ErrorCode {
  return typeof text === 'string' && Object.hasOwn(EXIT_CODES, text);
}

export interface ReportedError {
  readonly type: string;
  readonly message: string;
  readonly exit_code: number;
}

/** Formats an error for a report (docs/rules/errors.md#what-nobody-classified-is-internal). */
export function reportError(error: unknown): ReportedError {
  if (error instanceof HoubaError) {
    const message = error.hint === undefined ? error.message : `${error.message} (${error.hint})`;
    return { type: error.code, message, exit_code: EXIT_CODES[error.code] };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { type: 'Internal', message, exit_code: EXIT_CODES.Internal };
}
