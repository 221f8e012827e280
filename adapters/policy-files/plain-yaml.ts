import type { Document } from 'yaml';

/** How files of ours are read: no tags of one's own, no merge keys, and no message that quotes the file. */
export const PLAIN_YAML = {
  schema: 'core',
  merge: false,
  resolveKnownTags: false,
  prettyErrors: false,
  logLevel: 'silent',
} as const;

const MOST_ALIASES = 100;

/** What a document says, unless its aliases lead nowhere or multiply it beyond reason; `problem` is for people. */
export function plainValue(document: Document.Parsed): { readonly value: unknown } | { readonly problem: string } {
  try {
    return { value: document.toJS({ maxAliasCount: MOST_ALIASES }) };
  } catch (error) {
    if (!(error instanceof ReferenceError)) throw error;
    return { problem: error.message };
  }
}
