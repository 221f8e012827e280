/** Who decided something by hand, and why (docs/rules/security.md#a-persons-decision-has-a-name). */
export interface HumanWord {
  readonly by: string;
  readonly reason: string;
}

/** Both go into annotations. */
const LONGEST_NAME = 200;
const LONGEST_REASON = 1_000;

/** Why a decision cannot be written down; null: it can. */
export function wordProblem({ by, reason }: HumanWord): string | null {
  if (isBounded(by, LONGEST_NAME) && isBounded(reason, LONGEST_REASON)) return null;
  return `a decision needs a name of up to ${LONGEST_NAME} and a reason of up to ${LONGEST_REASON} characters`;
}

/** What a client sent is checked, whatever its type says. */
function isBounded(text: string, longest: number): boolean {
  return typeof text === 'string' && text.trim() !== '' && text.length <= longest;
}
