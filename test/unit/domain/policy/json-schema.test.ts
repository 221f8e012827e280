import { readdirSync, readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { policyJsonSchema, policyJsonSchemaText } from '../../../../domain/policy/json-schema.js';
import { policyDocument } from './documents.js';

const ROOT = new URL('../../../../', import.meta.url);
const validate = new Ajv2020({ strict: false }).compile(policyJsonSchema());

describe('the JSON Schema of policies', () => {
  it('is committed as it is generated', () => {
    const committed = readFileSync(new URL('docs/reference/policy.schema.json', ROOT), 'utf8');
    expect(committed, 'run: houba policy schema > docs/reference/policy.schema.json').toBe(policyJsonSchemaText());
  });

  it('is of 2020-12 and says what every field is for', () => {
    expect(policyJsonSchema()).toMatchObject({ $schema: 'https://json-schema.org/draft/2020-12/schema' });
    expect(undescribed(policyJsonSchema())).toEqual([]);
  });

  it('takes what houba takes, and refuses unknown keys', () => {
    expect(validate(policyDocument())).toBe(true);
    expect(validate({ ...policyDocument(), extra: 1 })).toBe(false);
    expect(validate(policyDocument({ imports: [{ owners: ['bad owner!'] }] }))).toBe(false);
  });

  it.each(['examples/reference/', 'examples/policies/'])(
    'holds for the policies of %s, which name it to editors',
    (folder) => {
      for (const file of readdirSync(new URL(folder, ROOT)).filter((name) => name.endsWith('.yaml'))) {
        const text = readFileSync(new URL(folder + file, ROOT), 'utf8');
        expect(text).toMatch(/^# yaml-language-server: \$schema=\.\.\/\.\.\/docs\/reference\/policy\.schema\.json\n/);
        expect(validate(parse(text)), `${file}: ${JSON.stringify(validate.errors)}`).toBe(true);
      }
    },
  );
});

/** Paths of properties without a description, but for the containers whose name says it all. */
function undescribed(schema: unknown, path = ''): string[] {
  if (typeof schema !== 'object' || schema === null) return [];
  return Object.entries(schema).flatMap(([key, value]) => {
    if (key !== 'properties') return undescribed(value, `${path}/${key}`);
    return Object.entries(value as Record<string, { description?: string }>).flatMap(([name, property]) => [
      ...(property.description === undefined && !['metadata', 'spec'].includes(name) ? [`${path}.${name}`] : []),
      ...undescribed(property, `${path}.${name}`),
    ]);
  });
}
