import { shortLine } from '../../text/escape.js';
import { fieldOf, invalid, isObject, type JsonObject, listOf } from './json-document.js';

/** As cosign and the OpenVEX specification name it. */
export const OPENVEX_PREDICATE_TYPE = 'https://openvex.dev/ns';
export const OPENVEX_MEDIA_TYPE = 'application/vnd.openvex+json';

const STATUSES = ['not_affected', 'affected', 'fixed', 'under_investigation'] as const;

/** What an OpenVEX document comes to. */
export interface OpenVex {
  /** For one line. */
  readonly author: string;
  /** Statements in decimal, all and by `<status>`. */
  readonly facts: Readonly<Record<string, string>>;
}

export function isOpenVex(document: JsonObject): boolean {
  const context = fieldOf(document, '@context');
  return typeof context === 'string' && /^https:\/\/openvex\.dev\/ns(?:\/|$)/.test(context);
}

/**
 * Reads an OpenVEX document (0.2.0) (docs/rules/evidence.md#a-vex-document-is-taken-whole). @throws HoubaError
 * `ReportInvalid`
 */
export function readOpenVex(document: JsonObject): OpenVex {
  if (!isOpenVex(document)) {
    throw invalid(
      'the document is not OpenVEX',
      'its @context is https://openvex.dev/ns/v0.2.0; vexctl writes such documents',
    );
  }
  for (const name of ['@id', 'author', 'timestamp']) {
    const value = fieldOf(document, name);
    if (typeof value !== 'string' || value === '') throw invalid(`the OpenVEX document has no ${name}`);
  }
  const statements = listOf(fieldOf(document, 'statements')) ?? [];
  if (statements.length === 0) throw invalid('the OpenVEX document has no statements');
  const counts = new Map<string, number>(STATUSES.map((status) => [status, 0]));
  for (const [index, statement] of statements.entries()) {
    const status = statusOf(statement, `statements[${index}]`);
    counts.set(status, (counts.get(status) ?? 0) + 1);
  }
  return {
    author: shortLine(String(fieldOf(document, 'author')), 100),
    facts: {
      statements: String(statements.length),
      ...Object.fromEntries([...counts].map(([status, count]) => [status, String(count)])),
    },
  };
}

function statusOf(statement: unknown, where: string): string {
  const vulnerability = fieldOf(statement, 'vulnerability');
  // Up to 0.0.2 it was the name itself.
  const name = isObject(vulnerability) ? fieldOf(vulnerability, 'name') : vulnerability;
  if (typeof name !== 'string' || name === '') throw invalid(`${where} of the OpenVEX document names no vulnerability`);
  const status = STATUSES.find((one) => one === fieldOf(statement, 'status'));
  if (status === undefined) {
    throw invalid(`${where} of the OpenVEX document has no status`, `it is one of ${STATUSES.join(', ')}`);
  }
  return status;
}
