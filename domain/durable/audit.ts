/** The input of `auditFleet`. */
export interface AuditInput {
  /** Names of the roster; null: all. */
  readonly registries: readonly string[] | null;
  /** `host/path`: look at these alone; null: at all there are. */
  readonly repositories: readonly string[] | null;
  /** Whether to look for signatures, and for inventories, of covered images. */
  readonly signed: boolean;
  readonly sbom: boolean;
  /** Images that are looked at, at most; null: all. */
  readonly limit: number | null;
}
