const MEANINGS: readonly (readonly [RegExp, string])[] = [
  [/expected SAN value (?:to match regex )?(".*?"), got (".*")/, 'it is by $2, not $1'],
  [/expected issuer value (?:to match regex )?(".*?"), got (".*")/, 'the issuer $2 vouches for its signer, not $1'],
  [/digest does not match any digest in statement/, 'it is about another digest'],
  [
    /do not match threshold|invalid signature|could not verify (envelope|message)/,
    'it is by another key, or was changed',
  ],
  [/leaf certificate/, 'its certificate is of no authority that is trusted here'],
  [/not enough verified log entries/, 'it is in no transparency log that is trusted here'],
  [/threshold not met for verified .*timestamps/, 'no clock that is trusted here says when it was made'],
];

/** Translates cosign's message into plain words, where they are known. */
export function explainRefusal(said: string): string {
  for (const [pattern, meaning] of MEANINGS) {
    const match = pattern.exec(said);
    if (match !== null) return meaning.replace(/\$(\d)/g, (_, group) => match[Number(group)] ?? '');
  }
  return said.replace(/^failed to verify \w+: /, '');
}
