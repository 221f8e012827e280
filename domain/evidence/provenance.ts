import { z } from 'zod';
import type { Digest } from '../digest.js';
import { formatRepository, formatTagged, type Repository } from '../reference.js';
import type { StatementFacts } from './facts.js';
import { builderIdOf, StepShape } from './predicates.js';
import { digestSet } from './statement.js';

export const PROVENANCE_PREDICATE_TYPE = 'https://slsa.dev/provenance/v1';

/** Described in docs/reference/provenance.md. */
export const BUILD_TYPE = 'https://houba.dev/buildtypes/placement/v1';

/** The inputs that a policy decides (docs/rules/evidence.md#provenance-lists-every-input). */
export const ExternalParameters = z
  .strictObject({
    policy: z.string().describe('metadata.name of the policy'),
    import: z.string().describe('Name of the import in the policy'),
    variant: z.string().describe('Name of the variant; default where the import has none'),
    source: z.string().describe('Where the image comes from: registry and repository'),
    source_tag: z.string().describe('The tag at the source'),
    platforms: z
      .array(z.string())
      .nullable()
      .describe('The platforms that were taken, os/architecture[/variant]; null: all that the source has'),
    transform: z.array(StepShape).describe('The steps of a rebuild, in order; empty for a copy'),
    stamp: z.enum(['annotations', 'referrer']).describe('Where the stamp went: onto the manifest, or beside it'),
  })
  .describe('externalParameters of a placement by houba');

export interface ProvenancePredicate {
  readonly buildDefinition: {
    readonly buildType: typeof BUILD_TYPE;
    readonly externalParameters: z.infer<typeof ExternalParameters>;
    readonly internalParameters: {
      readonly transform_version: string | null;
      readonly upstream_verified: string | null;
    };
    readonly resolvedDependencies: readonly ResourceDescriptor[];
  };
  readonly runDetails: {
    readonly builder: { readonly id: string; readonly version: { readonly houba: string } };
    readonly metadata: { readonly startedOn: string; readonly finishedOn: string };
  };
}

interface ResourceDescriptor {
  readonly name: string;
  readonly uri?: string;
  readonly digest: Readonly<Record<string, string>>;
}

export function provenancePredicate(
  facts: StatementFacts,
  builder: { readonly id: string; readonly version: string },
): ProvenancePredicate {
  const { policy, variant, source, sourceTag, baseDigest, created, platforms, transform, stampTo } = facts;
  const steps = transform?.steps ?? [];
  return {
    buildDefinition: {
      buildType: BUILD_TYPE,
      externalParameters: {
        policy,
        import: facts.import,
        variant,
        source: formatRepository(source),
        source_tag: sourceTag,
        platforms: platforms === null ? null : [...platforms],
        transform: steps.map(({ name, params }) => ({ name, params: { ...params } })),
        stamp: stampTo,
      },
      internalParameters: {
        transform_version: transform?.version ?? null,
        upstream_verified: facts.upstreamVerified,
      },
      resolvedDependencies: [
        { name: formatTagged(source, sourceTag), uri: packageUrl(source, baseDigest), digest: digestSet(baseDigest) },
        ...(transform?.resources ?? []).map(({ name, digest }) => ({ name, digest: digestSet(digest) })),
      ],
    },
    runDetails: {
      builder: { id: builderIdOf(builder.id), version: { houba: builder.version } },
      metadata: { startedOn: created, finishedOn: created },
    },
  };
}

export function externalParametersJsonSchema(): Record<string, unknown> {
  const { $schema, description, ...body } = z.toJSONSchema(ExternalParameters, { target: 'draft-2020-12' });
  return { $schema, $id: `${BUILD_TYPE}/external-parameters`, title: 'houba placement', description, ...body };
}

function packageUrl(repository: Repository, digest: Digest): string {
  const name = repository.path.slice(repository.path.lastIndexOf('/') + 1);
  const place = encodeURIComponent(formatRepository(repository)).replaceAll('%2F', '/');
  return `pkg:oci/${name}@${encodeURIComponent(digest)}?repository_url=${place}`;
}
