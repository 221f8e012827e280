/** Escapes controls, line breaks and characters that reorder a line (docs/rules/security.md#untrusted-text-is-data). */
export function escapeControls(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => {
    const point = character.codePointAt(0) ?? 0;
    return point <= 0xff ? `\\x${point.toString(16).padStart(2, '0')}` : `\\u{${point.toString(16)}}`;
  });
}

/** Makes a text of somebody else fit for one line: escaped, whole characters only, at most `longest` of them. */
export function shortLine(text: string, longest: number): string {
  // Cut first: the text may have millions of characters, each of one or two code units.
  const head = text.trim().slice(0, 2 * longest + 1);
  const characters = [...escapeControls(head.replace(/\p{Cs}/gu, '\ufffd'))];
  return characters.length <= longest ? characters.join('') : `${characters.slice(0, longest - 1).join('')}…`;
}
