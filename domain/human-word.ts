/** A person's decision: who, and why (docs/rules/security.md#a-persons-decision-has-a-name). */
export interface HumanWord {
  readonly by: string;
  readonly reason: string;
}

const LONGEST_NAME = 200;
const LONGEST_REASON = 1_000;

/** Says what is wrong with the name or the reason of a decision, which become annotations; null: nothing. */
export function wordProblem({ by, reason }: HumanWord): string | null {
  if (isBounded(by, LONGEST_NAME) && isBounded(reason, LONGEST_REASON)) return null;
  return `a decision needs a name of up to ${LONGEST_NAME} and a reason of up to ${LONGEST_REASON} characters`;
}

/** Checks the type as well: a client may have sent anything. */
function isBounded(text: string, longest: number): boolean {
  return typeof text === 'string' && text.trim() !== '' && text.length <= longest;
}
