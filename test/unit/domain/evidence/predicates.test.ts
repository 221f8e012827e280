import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import type { Digest } from '../../../../domain/digest.js';
import type { StatementFacts } from '../../../../domain/evidence/facts.js';
import { TransformPredicate, transformJsonSchema, transformPredicate } from '../../../../domain/evidence/predicates.js';
import {
  BUILD_TYPE,
  ExternalParameters,
  externalParametersJsonSchema,
  provenancePredicate,
} from '../../../../domain/evidence/provenance.js';
import { buildStatement } from '../../../../domain/evidence/statement.js';
import { digestFor } from '../../../support/durable-samples.js';

const DOCS = '../../../../docs/reference/predicates';

const copy: StatementFacts = {
  policy: 'redis-hardened',
  import: 'v7',
  variant: 'default',
  source: { host: 'docker.io', path: 'library/redis' },
  sourceTag: '7.2.5',
  baseDigest: digestFor('source'),
  created: '2026-06-11T00:00:00+00:00',
  platforms: null,
  transform: null,
  stampTo: 'annotations',
  upstreamVerified: null,
};

const rebuild: StatementFacts = {
  ...copy,
  platforms: ['linux/amd64', 'linux/arm64'],
  transform: {
    steps: [
      { name: 'injectCA', params: { certs: ['corp'] } },
      { name: 'setTimezone', params: { zone: 'Europe/Rome' } },
    ],
    version: 'sha256:tv',
    resources: [{ name: 'corp', digest: digestFor('certificate') }],
  },
};

describe('the transform predicate', () => {
  it('is the one that was published', () => {
    const transform = { ...rebuild.transform, steps: [{ name: 'injectCA', params: { certs: ['corp'] } }] };
    const facts = { ...rebuild, baseDigest: 'sha256:src' as Digest, transform } as StatementFacts;
    const predicate = transformPredicate(facts, 'https://houba.example/builders/main');
    const subject = { name: 'reg.local/hardened/redis:7.2.5', digest: 'sha256:out123' as Digest };
    const statement = buildStatement([subject], 'https://houba.dev/predicate/transform/v1', predicate);
    expect(JSON.parse(new TextDecoder().decode(statement))).toEqual({
      _type: 'https://in-toto.io/Statement/v1',
      subject: [{ name: 'reg.local/hardened/redis:7.2.5', digest: { sha256: 'out123' } }],
      predicateType: 'https://houba.dev/predicate/transform/v1',
      predicate: {
        policy: 'redis-hardened',
        import: 'v7',
        variant: 'default',
        transformed: true,
        source: 'docker.io/library/redis',
        source_digest: 'sha256:src',
        builder_id: 'https://houba.example/builders/main',
        created: '2026-06-11T00:00:00+00:00',
        transform_version: 'sha256:tv',
        steps: [{ name: 'injectCA', params: { certs: ['corp'] } }],
      },
    });
  });

  it('of a copy says that nothing was done', () => {
    expect(transformPredicate(copy, '')).toMatchObject({ transformed: false, transform_version: '', steps: [] });
  });

  it('names a builder also where none is configured', () => {
    expect(transformPredicate(copy, '').builder_id).toBe('https://houba.dev/builder');
  });

  it.each([
    ['a copy', copy],
    ['a rebuild', rebuild],
  ])('of %s holds what its schema says, and not a field more', (_, facts) => {
    const predicate = transformPredicate(facts, '');
    expect(TransformPredicate.parse(predicate)).toEqual(predicate);
    const validate = new Ajv2020({ strict: true, formats: { 'date-time': true } }).compile(transformJsonSchema());
    expect(validate(predicate), JSON.stringify(validate.errors)).toBe(true);
    expect(validate({ ...predicate, extra: 1 })).toBe(false);
  });
});

describe('the provenance', () => {
  const builder = { id: 'https://houba.example/builders/main', version: '1.2.3' };

  it('of a copy says which digest came from where, and when', () => {
    expect(provenancePredicate(copy, builder)).toEqual({
      buildDefinition: {
        buildType: BUILD_TYPE,
        externalParameters: {
          policy: 'redis-hardened',
          import: 'v7',
          variant: 'default',
          source: 'docker.io/library/redis',
          source_tag: '7.2.5',
          platforms: null,
          transform: [],
          stamp: 'annotations',
        },
        internalParameters: { transform_version: null, upstream_verified: null },
        resolvedDependencies: [
          {
            name: 'docker.io/library/redis:7.2.5',
            uri: `pkg:oci/redis@sha256%3A${copy.baseDigest.slice(7)}?repository_url=docker.io/library/redis`,
            digest: { sha256: copy.baseDigest.slice(7) },
          },
        ],
      },
      runDetails: {
        builder: { id: 'https://houba.example/builders/main', version: { houba: '1.2.3' } },
        metadata: { startedOn: copy.created, finishedOn: copy.created },
      },
    });
  });

  it('of a rebuild says what was done, with the digests of what went in', () => {
    const { buildDefinition } = provenancePredicate({ ...rebuild, upstreamVerified: 'sha256:abc' }, builder);
    expect(buildDefinition.externalParameters).toMatchObject({
      platforms: ['linux/amd64', 'linux/arm64'],
      transform: [
        { name: 'injectCA', params: { certs: ['corp'] } },
        { name: 'setTimezone', params: { zone: 'Europe/Rome' } },
      ],
    });
    expect(buildDefinition.internalParameters).toEqual({
      transform_version: 'sha256:tv',
      upstream_verified: 'sha256:abc',
    });
    expect(buildDefinition.resolvedDependencies.at(-1)).toEqual({
      name: 'corp',
      digest: { sha256: digestFor('certificate').slice(7) },
    });
  });

  it('writes the port of a registry so that the package URL can be read', () => {
    const source = { host: 'localhost:5000', path: 'redis' };
    const [dependency] = provenancePredicate({ ...copy, source }, builder).buildDefinition.resolvedDependencies;
    expect(dependency?.uri).toMatch(/^pkg:oci\/redis@sha256%3A[0-9a-f]{64}\?repository_url=localhost%3A5000\/redis$/);
  });

  it('has parameters as their schema says, and not one more', () => {
    const { externalParameters } = provenancePredicate(rebuild, builder).buildDefinition;
    expect(ExternalParameters.parse(externalParameters)).toEqual(externalParameters);
    const validate = new Ajv2020({ strict: true, allowUnionTypes: true }).compile(externalParametersJsonSchema());
    expect(validate(externalParameters), JSON.stringify(validate.errors)).toBe(true);
    expect(validate({ ...externalParameters, extra: 1 })).toBe(false);
  });
});

describe('the published schemas', () => {
  it.each([
    ['transform.schema.json', transformJsonSchema()],
    ['placement.schema.json', externalParametersJsonSchema()],
  ])('%s is as it is generated (vitest -u writes it)', async (file, schema) => {
    expect(schema).toMatchObject({ $schema: 'https://json-schema.org/draft/2020-12/schema' });
    await expect(`${JSON.stringify(schema, null, 2)}\n`).toMatchFileSnapshot(`${DOCS}/${file}`);
  });
});
