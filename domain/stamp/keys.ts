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

/** Artifact type of a raw scan report (docs/rules/evidence.md#scan-reports-are-data). */
export const SCAN_ARTIFACT_TYPE = 'application/vnd.houba.scan.result.v1';

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
    /** On a signed statement of houba's: the blob of its bundle, which is then read without the manifest. */
    bundle: `${prefix}.bundle`,
    scanTool: `${prefix}.scan.tool`,
    scanToolVersion: `${prefix}.scan.tool.version`,
    scanFormat: `${prefix}.scan.format`,
    scanTimestamp: `${prefix}.scan.timestamp`,
    scanSubject: `${prefix}.scan.subject`,
    scanFact: (name: string) => `${prefix}.scan.${name}`,
    /** On the signed statements about a scan report: its digest. */
    scanReport: `${prefix}.scan.report`,
    vexAuthor: `${prefix}.vex.author`,
    vexFormat: `${prefix}.vex.format`,
    vexTimestamp: `${prefix}.vex.timestamp`,
    vexSubject: `${prefix}.vex.subject`,
    vexFact: (name: string) => `${prefix}.vex.${name}`,
    /** On the signed statement of a VEX document: its digest. */
    vexDocument: `${prefix}.vex.document`,
  } as const;
}
