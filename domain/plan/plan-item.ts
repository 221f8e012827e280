import type { Digest } from '../digest.js';

/** What a plan may hold: the operations of a report, and the clearing of a mark, of which no report tells. */
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
 * One thing that a plan does to one tag, and what it was decided on. It is an approval and no instruction: it is carried
 * out when planning anew comes to the very same, and not otherwise.
 */
export interface PlanItem {
  readonly kind: (typeof ITEM_KINDS)[number];
  /** The destination, `host/path`. */
  readonly repository: string;
  /** Output tag or alias; empty for marks that name no tag. */
  readonly tag: string;
  readonly import: string;
  /** null for deletions and marks. */
  readonly variant: string | null;
  /** The source's tag; for an alias, the tag it points to. */
  readonly src_tag: string | null;
  /** The source digest; for an alias, what it is to show, null until its tag is placed. */
  readonly digest: Digest | null;
  /** What the tag showed. */
  readonly current: Digest | null;
  /** Why a tag is marked. */
  readonly reason: string | null;
}

/** What decides the outcome beside policy and registries: the worker's settings, and what its resources make of a transform. */
export interface PlanBasis {
  /** By variable; no secret is among them. */
  readonly settings: Readonly<Record<string, string>>;
  /** The transform's version of each rebuilt variant, by `import/variant`. */
  readonly transforms: Readonly<Record<string, string>>;
}

/** Items of one policy to carry out, and what they were decided on. */
export interface PlannedItems {
  readonly basis: PlanBasis;
  /** Of the policy's document. */
  readonly policy: Digest;
  readonly items: readonly PlanItem[];
  /** Why none of it holds any more, where the client knows; left out: it knows of nothing. */
  readonly refusal?: string;
}

/** Some items of a plan that is being made. */
export interface ItemPage {
  readonly items: readonly PlanItem[];
  readonly basis: PlanBasis;
  /** The key that the next page goes on after; null: this is the last. */
  readonly after: string | null;
}
