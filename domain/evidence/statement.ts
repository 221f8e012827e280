import type { Digest } from '../digest.js';
import { HoubaError } from '../errors.js';

const STATEMENT_TYPE = 'https://in-toto.io/Statement/v1';

/** Artifact and layer type of an unsigned statement (docs/rules/evidence.md#media-types-are-the-standards). */
export const IN_TOTO = 'application/vnd.in-toto+json';
export const IN_TOTO_PREDICATE_TYPE = 'in-toto.io/predicate-type';
export const MAX_STATEMENT_BYTES = 16 * 1024 * 1024;

export interface StatementSubject {
  readonly name: string;
  readonly digest: Digest;
}

/**
 * Builds an in-toto Statement v1 as JSON (docs/rules/evidence.md#statements-are-whole).
 * @param predicate a value, or the bytes of a JSON document, which go in as they are
 * @throws HoubaError `Unsupported` when the bytes are not exactly one JSON object
 */
export function buildStatement(
  subjects: readonly StatementSubject[],
  predicateType: string,
  predicate: Uint8Array | object,
): Uint8Array {
  const subject = subjects.map(({ name, digest }) => ({ name, digest: digestSet(digest) }));
  if (!(predicate instanceof Uint8Array)) {
    return encode(JSON.stringify({ _type: STATEMENT_TYPE, subject, predicateType, predicate }));
  }
  refuseOtherThanObject(predicate);
  const head = encode(`${JSON.stringify({ _type: STATEMENT_TYPE, subject, predicateType }).slice(0, -1)},"predicate":`);
  const statement = new Uint8Array(head.length + predicate.length + 1);
  statement.set(head);
  statement.set(predicate, head.length);
  statement[statement.length - 1] = '}'.charCodeAt(0);
  return statement;
}

export function digestSet(digest: Digest): Record<string, string> {
  const colon = digest.indexOf(':');
  return { [digest.slice(0, colon)]: digest.slice(colon + 1) };
}

/** Refuses other bytes than one object: what follows it would be signed as a part of the statement. */
function refuseOtherThanObject(bytes: Uint8Array): void {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (cause) {
    throw new HoubaError('Unsupported', 'the document to sign is not JSON', { cause });
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return;
  throw new HoubaError('Unsupported', 'the document to sign is not a JSON object');
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
