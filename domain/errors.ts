/** Exit codes by error code (docs/rules/errors.md#an-error-has-one-class); `durable/retry.ts` says what is retried. */
export const EXIT_CODES = {
  PolicyInvalid: 1,
  ReferenceInvalid: 1,
  ReportInvalid: 1,
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
  MachineFailed: 3,
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

const ELSEWHERE = 'or set HOUBA_HOME or HOUBA_WORK_DIR to another folder';
const WRITABLE = `let this user write there, ${ELSEWHERE}`;
const GONE = 'something removed it while houba was at work: make it anew, and run again';

/** Errors of the machine that houba runs on, by their code in Node.js, with what to do next. */
const MACHINE: Readonly<Record<string, readonly [what: string, hint: string]>> = {
  ENOSPC: ['no space is left', `free some, ${ELSEWHERE}`],
  EDQUOT: ['the quota is used up', `free some space, ${ELSEWHERE}`],
  EFBIG: ['the file would become larger than is allowed', 'raise the limit of file sizes (ulimit -f)'],
  EROFS: ['the file system is read-only', `mount it to be written, ${ELSEWHERE}`],
  EACCES: ['permission is denied', WRITABLE],
  EPERM: ['permission is denied', WRITABLE],
  EIO: ['the disk does not answer', 'look at the disk; nothing that was reported done is lost'],
  ENOENT: ['it is not there', GONE],
  ENOTDIR: ['a folder on the way there is none', GONE],
  ELOOP: ['a link on the way there leads to itself', `mend the link, ${ELSEWHERE}`],
  EMFILE: ['too many files are open', 'raise the limit of open files (ulimit -n)'],
  ENFILE: ['too many files are open on this machine', 'raise the limit of open files (fs.file-max)'],
  EAGAIN: ['no more processes can be started', 'raise the limit of processes (ulimit -u, or that of the container)'],
  ENOMEM: ['no memory is left', 'give this machine or container more'],
};

/**
 * Names an error of the machine (docs/rules/errors.md#the-machine-has-a-code-of-its-own); null: it is none. @param at the
 * path where the error tells none: Node.js does not when a write fails
 */
export function machineError(error: unknown, at?: string): HoubaError | null {
  const { code, path = at } = (error ?? {}) as { readonly code?: unknown; readonly path?: unknown };
  const known = typeof code === 'string' ? MACHINE[code] : undefined;
  if (!(error instanceof Error) || known === undefined) return null;
  const [what, hint] = known;
  if (hint === GONE && typeof path !== 'string') return null;
  return new HoubaError('MachineFailed', typeof path === 'string' ? `${path}: ${what}` : what, { hint, cause: error });
}

/** Names an error that nobody expected; null: it is a fault of houba. */
export function knownError(error: unknown): HoubaError | null {
  return error instanceof HoubaError ? error : machineError(error);
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
  const known = knownError(error);
  if (known !== null) {
    const message = known.hint === undefined ? known.message : `${known.message} (${known.hint})`;
    return { type: known.code, message, exit_code: EXIT_CODES[known.code] };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { type: 'Internal', message, exit_code: EXIT_CODES.Internal };
}
