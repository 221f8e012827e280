import type { Digest } from '../digest.js';

/** The operations of a report, and the clearing of marks. */
export const ITEM_KINDS = [
  'imported',
  'updated',
  'restamped',
  'held',
  'sbom',
  'attested',
  'aliased',
  'deleted',
  'marked',
  'unmarked',
] as const;

/**
 * One thing a plan does to one tag. It approves, and instructs nothing: it is carried out when planning anew comes to the same.
 */
export interface PlanItem {
  readonly kind: (typeof ITEM_KINDS)[number];
  /** `host/path`. */
  readonly repository: string;
  /** Empty for marks that name no tag. */
  readonly tag: string;
  readonly import: string;
  /** null for deletions and marks. */
  readonly variant: string | null;
  /** For an alias, the tag it points to. */
  readonly src_tag: string | null;
  /** The source digest; for an alias, what it is to show, null: its tag is not placed yet. */
  readonly digest: Digest | null;
  readonly current: Digest | null;
  readonly reason: string | null;
}

/** What decides beside policy and registries. */
export interface PlanBasis {
  /** By variable; none is secret. */
  readonly settings: Readonly<Record<string, string>>;
  /** Transform versions by `import/variant`. */
  readonly transforms: Readonly<Record<string, string>>;
}

export interface PlannedItems {
  readonly basis: PlanBasis;
  readonly policy: Digest;
  readonly items: readonly PlanItem[];
  /** Why the client refuses all of them; left out: it does not. */
  readonly refusal?: string;
}

export interface ItemPage {
  readonly items: readonly PlanItem[];
  readonly basis: PlanBasis;
  /** Key of the last item; null: the plan ends here. */
  readonly after: string | null;
}
