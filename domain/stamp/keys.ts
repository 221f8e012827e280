/** Annotation keys that houba writes (docs/rules/stamp.md#keys-are-written-in-one-module). */
const OCI = 'org.opencontainers.image';

export const OCI_KEYS = {
  title: `${OCI}.title`,
  source: `${OCI}.source`,
  baseName: `${OCI}.base.name`,
  baseDigest: `${OCI}.base.digest`,
  created: `${OCI}.created`,
  revision: `${OCI}.revision`,
  vendor: `${OCI}.vendor`,
} as const;

/** Artifact type of a stamp beside an image (docs/rules/stamp.md#a-stamp-beside-the-image). */
export const STAMP_ARTIFACT_TYPE = 'application/vnd.houba.stamp.v1+json';

/** Builds the keys under the organisation's prefix; null when it is empty. */
export function prefixedKeys(prefix: string) {
  if (prefix === '') return null;
  return {
    artifactType: `${prefix}.artifact.type`,
    policy: `${prefix}.policy`,
    import: `${prefix}.import`,
    variant: `${prefix}.variant`,
    owners: `${prefix}.owners`,
    transformSteps: `${prefix}.transform.steps`,
    transformVersion: `${prefix}.transform.version`,
    platforms: `${prefix}.platforms`,
    /** Attestations that upstream's index names and upstream does not serve any more. */
    lost: `${prefix}.lost`,
    /** Only in a stamp beside the image. */
    tag: `${prefix}.tag`,
    supersedes: `${prefix}.supersedes`,
    upstreamVerified: `${prefix}.upstream.verified`,
    promotedBy: `${prefix}.promoted.by`,
    promotedReason: `${prefix}.promoted.reason`,
    sbomTool: `${prefix}.sbom.tool`,
    sbomToolVersion: `${prefix}.sbom.tool.version`,
    sbomFormat: `${prefix}.sbom.format`,
    sbomTimestamp: `${prefix}.sbom.timestamp`,
    sbomSubject: `${prefix}.sbom.subject`,
    sbomPlatform: `${prefix}.sbom.platform`,
    operation: `${prefix}.operation`,
  } as const;
}
