import { z } from 'zod';
import { MirrorPolicy } from './schema.js';

/** The JSON Schema (2020-12) of a policy file, for editors and `docs/reference/policy.schema.json`. */
export function policyJsonSchema(): Record<string, unknown> {
  const { $schema, description, ...rest } = z.toJSONSchema(MirrorPolicy, { target: 'draft-2020-12', io: 'input' });
  return { $schema, title: 'MirrorPolicy', description, ...rest };
}

/** The text of the committed file, and of `houba policy schema`. */
export function policyJsonSchemaText(): string {
  return `${JSON.stringify(policyJsonSchema(), null, 2)}\n`;
}
