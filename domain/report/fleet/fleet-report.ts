import { z } from 'zod';
import type { ReportedError } from '../../errors.js';
import type { Severity } from '../../evidence/severity.js';

/** What the registries hold at one moment: every image with its evidence, and every package with its images. */
export interface FleetReport {
  readonly schema_version: 1;
  /** RFC 3339; every age is counted from here. */
  readonly generated_at: string;
  /** Hosts. */
  readonly registries: readonly string[];
  readonly coverage: FleetCoverage;
  readonly images: readonly FleetImage[];
  readonly packages: readonly FleetPackage[];
}

/** For which digests `packages` can answer. */
export interface FleetCoverage {
  readonly digests: number;
  readonly answered: number;
  readonly not_covered: readonly NotCovered[];
  /** Left out of `not_covered` because there were too many. */
  readonly not_covered_cut: number;
}

export interface NotCovered {
  readonly image_ref: string;
  /** null: unread. */
  readonly digest: string | null;
  readonly reason: (typeof NOT_COVERED_REASONS)[number];
  readonly error: ReportedError | null;
}

const NOT_COVERED_REASONS = ['no-stamp', 'no-sbom', 'unreadable'] as const;

export interface FleetImage {
  /** `host/repository:tag`. */
  readonly image_ref: string;
  /** A host. */
  readonly registry: string;
  readonly repository: string;
  readonly tag: string;
  readonly digest: string;
  /** Such as `linux/arm64/v8`. */
  readonly platforms: readonly string[];
  readonly owners: readonly string[];
  readonly policy: string | null;
  readonly base_digest: string | null;
  readonly base_name: string | null;
  /** RFC 3339: since when the tag shows the digest. */
  readonly placed_at: string | null;
  /** null: nobody can say. */
  readonly stamped: boolean | null;
  /** null: nobody can say. */
  readonly sbom: boolean | null;
  /** null: not asked. */
  readonly signed: boolean | null;
  /** RFC 3339: the freshest scan; null: none. */
  readonly scanned_at: string | null;
  /** What that scan found; null: no scan, or one that does not say. */
  readonly findings: Findings | null;
  /** The wait for a digest that the tag has upstream. */
  readonly held: { readonly until: string | null; readonly reason: string } | null;
  /** The mark. */
  readonly pending_deletion: { readonly since: string; readonly policy: string | null } | null;
  /** Distinct packages; null: no inventory was read. */
  readonly packages: number | null;
  /** Where the usage oracle or the operator has seen it. */
  readonly running_in: readonly string[];
}

export type Findings = Readonly<Record<Severity, number>>;

export interface FleetPackage {
  readonly name: string;
  /** Its type in a package URL: `deb`, `maven`, `npm`. */
  readonly ecosystem: string;
  readonly versions: readonly FleetVersion[];
}

export interface FleetVersion {
  readonly version: string;
  /** Indexes into `images`, ascending. */
  readonly images: readonly number[];
}

export function fleetReportJsonSchema(): Record<string, unknown> {
  const { $schema, ...body } = z.toJSONSchema(FleetReportShape, { target: 'draft-2020-12' });
  return { $schema, $id: 'https://houba.io/schemas/fleet-report.schema.json', title: 'houba fleet report', ...body };
}

const Count = z.int().min(0);
const Instant = z.iso.datetime({ offset: true });

const ImageShape = z.strictObject({
  image_ref: z.string().describe('host/repository:tag'),
  registry: z.string().describe('A host'),
  repository: z.string(),
  tag: z.string(),
  digest: z.string().describe('What the tag shows'),
  platforms: z.array(z.string()).describe('Such as linux/arm64/v8'),
  owners: z.array(z.string()),
  policy: z.string().nullable(),
  base_digest: z.string().nullable().describe('The source digest that it was made from'),
  base_name: z.string().nullable().describe('The source reference that it was made from'),
  placed_at: Instant.nullable().describe('Since when the tag shows the digest'),
  stamped: z.boolean().nullable().describe('Whether it has a stamp of ours; null: nobody can say'),
  sbom: z.boolean().nullable().describe('null: nobody can say'),
  signed: z.boolean().nullable().describe('null: not asked'),
  scanned_at: Instant.nullable().describe('The freshest scan; null: none'),
  findings: z
    .strictObject({ critical: Count, high: Count, medium: Count, low: Count, unknown: Count })
    .nullable()
    .describe('What that scan found, by severity; null: no scan, or one that does not say'),
  held: z
    .strictObject({ until: Instant.nullable(), reason: z.string() })
    .nullable()
    .describe('The tag waits for the digest that it has upstream; until null: nobody can say how long'),
  pending_deletion: z
    .strictObject({ since: Instant, policy: z.string().nullable() })
    .nullable()
    .describe('The tag is marked: it may go'),
  packages: Count.nullable().describe('Distinct packages in it; null: no inventory was read'),
  running_in: z.array(z.string()).describe('Where it has been seen in use'),
});

export const FleetReportShape = z.strictObject({
  schema_version: z.literal(1),
  generated_at: Instant,
  registries: z.array(z.string()).describe('Hosts'),
  coverage: z
    .strictObject({
      digests: Count,
      answered: Count.describe('Digests whose packages are known'),
      not_covered: z.array(
        z.strictObject({
          image_ref: z.string(),
          digest: z.string().nullable().describe('null: it could not be read'),
          reason: z.enum(NOT_COVERED_REASONS),
          error: z
            .strictObject({ type: z.string(), message: z.string(), exit_code: z.int().min(0).max(255) })
            .nullable(),
        }),
      ),
      not_covered_cut: Count.describe('Left out of not_covered because there were too many'),
    })
    .describe('For which digests packages can answer'),
  images: z.array(ImageShape),
  packages: z.array(
    z.strictObject({
      name: z.string(),
      ecosystem: z.string().describe('Its type in a package URL: deb, maven, npm'),
      versions: z.array(
        z.strictObject({
          version: z.string(),
          images: z.array(Count).describe('Indexes into the images of the report, ascending'),
        }),
      ),
    }),
  ),
});
