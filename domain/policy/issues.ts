import { HoubaError } from '../errors.js';
import { escapeControls } from '../text/escape.js';

/** A mistake in a policy document. */
export interface DocumentIssue {
  /** Keys and indexes from the root. */
  readonly path: readonly (string | number)[];
  /** Whether it is about the key at the end of the path, not its value. */
  readonly atKey: boolean;
  readonly missing: boolean;
  readonly message: string;
  readonly hint: string | null;
}

/** A mistake with its place in the file; line and column count from 1. */
export interface PolicyIssue {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** `spec.imports[0].tags`; empty for the document. */
  readonly path: string;
  readonly message: string;
  readonly hint: string | null;
}

export class PolicySetInvalid extends HoubaError {
  readonly issues: readonly PolicyIssue[];

  constructor(issues: readonly PolicyIssue[]) {
    const count = issues.length === 1 ? '1 mistake' : `${issues.length} mistakes`;
    super('PolicyInvalid', [`${count} in the policies:`, ...issues.map((issue) => formatIssue(issue))].join('\n  '));
    this.issues = issues;
  }
}

/** `file:line:column: message (hint)`, as editors and CI systems read it. */
export function formatIssue(issue: PolicyIssue, kind = ''): string {
  const hint = issue.hint === null ? '' : ` (${issue.hint})`;
  return escapeControls(`${issue.file}:${issue.line}:${issue.column}: ${kind}${issue.message}${hint}`);
}

export function formatPath(path: readonly (string | number)[]): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === 'number') return `${text}[${step}]`;
    return text === '' ? step : `${text}.${step}`;
  }, '');
}
