import type { MirrorPolicy } from '../../../../domain/policy/schema.js';

type Import = MirrorPolicy['spec']['imports'][number];

interface PolicyParts {
  readonly name?: string;
  readonly artifactType?: MirrorPolicy['spec']['artifactType'];
  readonly defaults?: unknown;
  /** Filled up with a name (`v1`, `v2`, …), tags and one destination. May be wrong: that is what is tested. */
  readonly imports?: readonly { readonly [Key in keyof Import]?: unknown }[];
}

/** A valid policy around the parts that a test is about. */
export function policyDocument({ name = 'x', artifactType = 'image', defaults, imports = [{}] }: PolicyParts = {}) {
  const destinations = [{ project: 'p', repository: 'r' }];
  return {
    apiVersion: 'houba.io/v1alpha1',
    kind: 'MirrorPolicy',
    metadata: { name },
    spec: {
      artifactType,
      source: { registry: 'docker.io', repository: 'library/redis' },
      ...(defaults !== undefined && { defaults }),
      imports: imports.map((entry, index) => ({ name: `v${index + 1}`, tags: {}, destinations, ...defined(entry) })),
    },
  } as MirrorPolicy;
}

function defined(entry: object): object {
  return Object.fromEntries(Object.entries(entry).filter(([, value]) => value !== undefined));
}
