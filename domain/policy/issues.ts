import { HoubaError } from '../report/errors.js';

/** Something wrong with a policy: where in the document, and what. */
export interface DocumentIssue {
  /** Keys and indexes from the root. */
  readonly path: readonly (string | number)[];
  /** Whether it is about the key at the end of the path, rather than its value. */
  readonly atKey: boolean;
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
  return oneLine(`${issue.file}:${issue.line}:${issue.column}: ${issue.message}${hint}`);
}

/** `spec.imports[0].name`. */
export function formatPath(path: readonly (string | number)[]): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === 'number') return `${text}[${step}]`;
    return text === '' ? step : `${text}.${step}`;
  }, '');
}

/** A file's content reaches terminals through these messages: control characters are shown, not obeyed (conventions S9). */
function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}
