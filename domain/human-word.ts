/** Who decided something by hand, and why (conventions S4). */
export interface HumanWord {
  readonly by: string;
  readonly reason: string;
}
