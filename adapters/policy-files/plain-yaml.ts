import type { Document } from 'yaml';

/** Options for houba's own YAML files: no custom tags, no merge keys, and no message that quotes the file. */
export const PLAIN_YAML = {
  schema: 'core',
  merge: false,
  resolveKnownTags: false,
  prettyErrors: false,
  logLevel: 'silent',
} as const;

const MOST_ALIASES = 100;

/** The value of a document, or the problem with its aliases: unknown anchors, or too many expansions. */
export function plainValue(document: Document.Parsed): { readonly value: unknown } | { readonly problem: string } {
  try {
    return { value: document.toJS({ maxAliasCount: MOST_ALIASES }) };
  } catch (error) {
    if (!(error instanceof ReferenceError)) throw error;
    return { problem: error.message };
  }
}
