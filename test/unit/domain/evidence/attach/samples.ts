import { parseReport } from '../../../../../domain/evidence/attach/attachment.js';

export function bytesOf(value: unknown): Uint8Array {
  return new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value));
}

/** A SARIF report of one run. */
export function sarif(
  results: unknown,
  { driver = {}, ...run }: Readonly<Record<string, unknown>> & { readonly driver?: object } = {},
): Record<string, unknown> {
  const tool = { driver: { name: 'scanner', ...driver } };
  return { version: '2.1.0', runs: [{ tool, results, ...run }] };
}

export function parse(report: unknown) {
  const attachment = parseReport(bytesOf(report), null);
  if (attachment.kind !== 'scan') throw new Error('it is no report');
  return attachment.report;
}

/** The facts of a report that are not 0. */
export function counted(report: unknown): Record<string, string> {
  return Object.fromEntries(Object.entries(parse(report).facts).filter(([, count]) => count !== '0'));
}
