import { HoubaError } from '../errors.js';
import { escapeControls } from '../text/escape.js';

/** Something wrong with a policy: where in the document, and what. */
export interface DocumentIssue {
  /** Keys and indexes from the root. */
  readonly path: readonly (string | number)[];
  /** Whether it is about the key at the end of the path, rather than its value. */
  readonly atKey: boolean;
  /** Whether something that must be there is not. */
  readonly missing: boolean;
  readonly message: string;
  readonly hint: string | null;
}

/** The same, in a file. */
export interface PolicyIssue {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
  /** `spec.imports[0].tags`; empty for the document. */
  readonly path: string;
  readonly message: string;
  readonly hint: string | null;
}

/** Everything wrong with a set of policies, reported together. */
export class PolicySetInvalid extends HoubaError {
  readonly issues: readonly PolicyIssue[];

  constructor(issues: readonly PolicyIssue[]) {
    const count = issues.length === 1 ? '1 mistake' : `${issues.length} mistakes`;
    super('PolicyInvalid', [`${count} in the policies:`, ...issues.map(formatIssue)].join('\n  '));
    this.issues = issues;
  }
}

/** `file:line:column: message (hint)`, as editors and CI systems read it. */
export function formatIssue(issue: PolicyIssue): string {
  const hint = issue.hint === null ? '' : ` (${issue.hint})`;
  return escapeControls(`${issue.file}:${issue.line}:${issue.column}: ${issue.message}${hint}`);
}

/** `spec.imports[0].name`. */
export function formatPath(path: readonly (string | number)[]): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === 'number') return `${text}[${step}]`;
    return text === '' ? step : `${text}.${step}`;
  }, '');
}
