/**
 * Text from a registry or a policy, made safe to print (docs/rules/security.md#untrusted-text-is-data): control characters,
 * line breaks and the invisible ones that reorder a line become visible escapes, so that nothing can move the cursor or forge a
 * line.
 */
export function escapeControls(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => {
    const point = character.codePointAt(0) ?? 0;
    return point <= 0xff ? `\\x${point.toString(16).padStart(2, '0')}` : `\\u{${point.toString(16)}}`;
  });
}
