import { z } from 'zod';
import { formatRepository } from '../reference.js';
import type { StatementFacts } from './facts.js';

export const TRANSFORM_PREDICATE_TYPE = 'https://houba.dev/predicate/transform/v1';

const DEFAULT_BUILDER_ID = 'https://houba.dev/builder';

/** A transform step; its parameters name certificates and mirrors, they do not hold them. */
export const StepShape = z
  .strictObject({
    name: z.string().describe('The step, such as injectCA'),
    params: z.record(z.string(), z.unknown()).describe('Its parameters as the policy has them: names, not contents'),
  })
  .meta({ id: 'Step' });

/** The body of `transform/v1`, which is frozen (docs/rules/evidence.md#a-frozen-predicate-stays). */
export const TransformPredicate = z
  .strictObject({
    policy: z.string().describe('metadata.name of the policy'),
    import: z.string().describe('Name of the import in the policy'),
    variant: z.string().describe('Name of the variant; default where the import has none'),
    transformed: z.boolean().describe('Whether the image was rebuilt with transform steps'),
    source: z.string().describe('Where the image comes from: registry and repository'),
    source_digest: z.string().describe('The digest at the source that was copied or rebuilt'),
    builder_id: z.string().describe('The installation of houba that did it'),
    created: z.iso
      .datetime({ offset: true })
      .describe('When the image was placed; for a signature made later, when that was'),
    transform_version: z.string().describe('Hash over steps, parameters and what they stand for; empty for a copy'),
    steps: z.array(StepShape).describe('What was done, in this order; empty for a copy'),
  })
  .describe('Where a placed image comes from and what was done to it');
export type TransformPredicate = z.infer<typeof TransformPredicate>;

export function transformPredicate(facts: StatementFacts, builderId: string): TransformPredicate {
  const { policy, variant, source, baseDigest, created, transform } = facts;
  const steps = transform?.steps ?? [];
  return {
    policy,
    import: facts.import,
    variant,
    transformed: steps.length > 0,
    source: formatRepository(source),
    source_digest: baseDigest,
    builder_id: builderIdOf(builderId),
    created,
    transform_version: transform?.version ?? '',
    steps: steps.map(({ name, params }) => ({ name, params: { ...params } })),
  };
}

export function builderIdOf(configured: string): string {
  return configured || DEFAULT_BUILDER_ID;
}

export function transformJsonSchema(): Record<string, unknown> {
  const { $schema, description, ...body } = z.toJSONSchema(TransformPredicate, { target: 'draft-2020-12' });
  return { $schema, $id: TRANSFORM_PREDICATE_TYPE, title: 'houba transform predicate', description, ...body };
}
