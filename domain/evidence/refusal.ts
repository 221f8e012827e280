/** What cosign says of a signature, by what it means for whoever waits for the image. */
const MEANINGS: readonly (readonly [RegExp, string])[] = [
  [/digest does not match any digest in statement/, 'it is about another digest'],
  [
    /do not match threshold|invalid signature|could not verify (envelope|message)/,
    'it is by another key, or was changed',
  ],
];

/** Why a signature does not count, in plain words where they are known, else in cosign's. */
export function explainRefusal(said: string): string {
  return MEANINGS.find(([pattern]) => pattern.test(said))?.[1] ?? said.replace(/^failed to verify \w+: /, '');
}
