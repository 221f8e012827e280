export interface AuditInput {
  /** Roster names, and `host/path` below; null: all. */
  readonly registries: readonly string[] | null;
  readonly repositories: readonly string[] | null;
  /** Whether covered images are checked for signatures, and for SBOMs. */
  readonly signed: boolean;
  readonly sbom: boolean;
  /** Images at most; null: no limit. */
  readonly limit: number | null;
}
