export interface AuditInput {
  /** Names of the roster; null: all. */
  readonly registries: readonly string[] | null;
  /** `host/path`; null: all. */
  readonly repositories: readonly string[] | null;
  /** Look for signatures, and SBOMs, of covered images. */
  readonly signed: boolean;
  readonly sbom: boolean;
  /** Images at most; null: all. */
  readonly limit: number | null;
}
