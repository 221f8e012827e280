/**
 * Every way houba fails, classified once where it is seen (architecture, section 3). `retryable` tells the durable
 * part whether trying again can help; `exit` is the code of section 4.
 */
export const ERROR_TABLE = {
  PolicyInvalid: { retryable: false, exit: 1 },
  ReferenceInvalid: { retryable: false, exit: 1 },
  SignatureInvalid: { retryable: false, exit: 1 },
  PreconditionFailed: { retryable: false, exit: 1 },
  GateBreached: { retryable: false, exit: 1 },
  Unsupported: { retryable: false, exit: 1 },
  NotFound: { retryable: false, exit: 2 },
  Unauthorized: { retryable: false, exit: 2 },
  Denied: { retryable: false, exit: 2 },
  DigestMismatch: { retryable: false, exit: 2 },
  BuildFailed: { retryable: false, exit: 2 },
  ToolMissing: { retryable: false, exit: 2 },
  CompensationFailed: { retryable: false, exit: 2 },
  RateLimited: { retryable: true, exit: 2 },
  RegistryUnavailable: { retryable: true, exit: 2 },
  BuilderUnavailable: { retryable: true, exit: 2 },
  Interrupted: { retryable: true, exit: 2 },
  ToolFailed: { retryable: true, exit: 2 },
  ConfigInvalid: { retryable: false, exit: 3 },
  Internal: { retryable: true, exit: 4 },
} as const satisfies Record<string, { retryable: boolean; exit: number }>;

export type ErrorCode = keyof typeof ERROR_TABLE;

export interface ErrorDetail {
  /** What to do next, one sentence. */
  readonly hint?: string;
  readonly cause?: unknown;
  /** Redacted facts: registry, status, digest. Never a credential. */
  readonly facts?: Readonly<Record<string, string | number>>;
  /** How long the other side asked us to wait, in milliseconds. */
  readonly retryAfterMs?: number;
}

/** The fact that a failed publication bears when no tag can show what it was to publish. */
export const NOTHING_SENT = 'nothing_sent';

/** The one error that crosses a boundary: a stable code, a message that says what and where, a hint that says what next. */
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
  return typeof text === 'string' && Object.hasOwn(ERROR_TABLE, text);
}

/** How an error stands in a report (section 10). */
export interface ReportedError {
  readonly type: string;
  readonly message: string;
  readonly exit_code: number;
}

/** Anything not in the taxonomy is `Internal`, exit 4 (L31). */
export function reportError(error: unknown): ReportedError {
  if (error instanceof HoubaError) {
    const message = error.hint === undefined ? error.message : `${error.message} (${error.hint})`;
    return { type: error.code, message, exit_code: ERROR_TABLE[error.code].exit };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { type: 'Internal', message, exit_code: ERROR_TABLE.Internal.exit };
}
