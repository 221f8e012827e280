import type { Digest } from '../digest.js';

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

/** An approved change of one tag. It is carried out only where planning anew comes to the same. */
export interface PlanItem {
  readonly kind: (typeof ITEM_KINDS)[number];
  readonly repository: string;
  /** Empty for marks that name no tag. */
  readonly tag: string;
  readonly import: string;
  readonly variant: string | null;
  /** The source tag; for an alias, the tag it points to. */
  readonly src_tag: string | null;
  /** The source digest; for an alias, what it is to show, null: its tag is not placed yet. */
  readonly digest: Digest | null;
  readonly current: Digest | null;
  readonly reason: string | null;
}

/** Inputs of a plan beside policy and registries. */
export interface PlanBasis {
  /** By environment variable; none is secret. */
  readonly settings: Readonly<Record<string, string>>;
  /** Transform versions by `import/variant`. */
  readonly transforms: Readonly<Record<string, string>>;
}

export interface PlannedItems {
  readonly basis: PlanBasis;
  readonly policy: Digest;
  readonly items: readonly PlanItem[];
  /** Why the client refuses the whole plan; left out: it does not. */
  readonly refusal?: string;
}

export interface ItemPage {
  readonly items: readonly PlanItem[];
  readonly basis: PlanBasis;
  /** Key of the last item; null: this page is the last. */
  readonly after: string | null;
}
