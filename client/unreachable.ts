/** Temporal does not answer: exit 69 (docs/rules/errors.md#the-worst-code-ends-a-command). Runs go on. */
export class TemporalUnreachable extends Error {
  override readonly name = 'TemporalUnreachable';
  readonly hint: string;

  constructor(message: string, { hint, cause }: { readonly hint?: string; readonly cause?: unknown } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.hint = hint ?? 'check TEMPORAL_ADDRESS and the network; without it houba starts a local one';
  }
}
