import { z } from 'zod';
import { type ErrorCode, HoubaError } from '../../domain/errors.js';
import { escapeControls } from '../../domain/text/escape.js';
import { jsonOrNull } from '../../domain/text/json.js';
import { optional } from '../../domain/text/optional.js';
import type { Reply } from './transport.js';

const Errors = z.object({
  errors: z.array(z.object({ code: optional(z.string()), message: optional(z.string()) })).min(1),
});

export interface Asked {
  readonly method: string;
  readonly path: string;
}

const LONGEST_QUOTE = 200;

/** Classifies a failed answer (docs/rules/errors.md#an-error-has-one-class); the body is quoted as data. */
export function failureOf(registry: string, asked: Asked, reply: Reply, retryAfterMs: number | null): HoubaError {
  const { status } = reply;
  const said = readError(reply.body);
  const code = classify(status, said.code);
  // Without the query, which can hold a signature.
  const request = `to ${asked.method} ${asked.path.split('?', 1)[0]}`;
  const what = [`${registry} answered ${status}`, said.code, request].filter((part) => part !== '').join(' ');
  const hint = hintFor(code, registry);
  return new HoubaError(code, said.message === '' ? what : `${what}: ${said.message}`, {
    ...(hint === undefined ? {} : { hint }),
    facts: { registry, status, ...(said.code === '' ? {} : { code: said.code }) },
    ...(retryAfterMs === null ? {} : { retryAfterMs }),
  });
}

function classify(status: number, code: string): ErrorCode {
  if (status === 429 || code === 'TOOMANYREQUESTS') return 'RateLimited';
  if (status >= 500 && status !== 501) return 'RegistryUnavailable';
  if (status === 401) return 'Unauthorized';
  if (status === 403) return 'Denied';
  if (status === 404) return 'NotFound';
  return 'Unsupported';
}

function hintFor(code: ErrorCode, registry: string): string | undefined {
  const ifNew = 'some registries say this of a repository that is not there yet: create it first';
  if (code === 'Unauthorized') return `check the credentials for ${registry}; ${ifNew}`;
  if (code === 'Denied') return `the credentials for ${registry} may not do this; ${ifNew}`;
  return undefined;
}

/** The code of the first error in an answer, such as `NAME_UNKNOWN`; empty: it has none. */
export function errorCodeIn(body: Uint8Array): string {
  return readError(body).code;
}

/** Whether an answer speaks of the repository or the manifest alone, and says nothing of the registry. */
export function saysUnknown(body: Uint8Array): boolean {
  return /NAME_UNKNOWN|MANIFEST_UNKNOWN|NAME_INVALID/.test(new TextDecoder().decode(body));
}

function readError(body: Uint8Array): { readonly code: string; readonly message: string } {
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8').trim();
  const [first] = Errors.safeParse(jsonOrNull(text)).data?.errors ?? [];
  if (first === undefined) return { code: '', message: quote(text) };
  return { code: quote(first.code ?? ''), message: quote(first.message ?? '') };
}

function quote(text: string): string {
  return escapeControls(text.slice(0, LONGEST_QUOTE));
}
