export interface AuditInput {
  /** Roster names, and `host/path` below; null: all. */
  readonly registries: readonly string[] | null;
  readonly repositories: readonly string[] | null;
  /** Whether covered images are checked for signatures, for SBOMs, and for scans; left out: not for scans. */
  readonly signed: boolean;
  readonly sbom: boolean;
  readonly scanned?: boolean;
  /** How old a scan may be; left out: of any age. */
  readonly maxAgeMs?: number;
  /** Images at most; null: no limit. */
  readonly limit: number | null;
}
