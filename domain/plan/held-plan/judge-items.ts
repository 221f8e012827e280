import type { Digest } from '../../digest.js';
import type { PlanBasis, PlanItem, PlannedItems } from '../plan-item.js';
import { itemKey } from './items-of-work.js';

export interface JudgedItems {
  readonly agreed: readonly PlanItem[];
  readonly done: readonly PlanItem[];
  readonly refused: readonly { readonly item: PlanItem; readonly why: string }[];
}

export interface FreshPlan {
  readonly basis: PlanBasis;
  readonly policy: Digest;
  readonly items: readonly PlanItem[];
  look(item: PlanItem): Sight;
}

/** What the registries show about an item's tag; undefined: not read. */
export interface Sight {
  readonly current: Digest | null | undefined;
  readonly source: Digest | null | undefined;
  /** The recorded source digest of a tag that stays as it is; null: none, or it does not stay. */
  readonly placed: Digest | null;
  /** What the tag of an alias shows. */
  readonly aim: Digest | null;
  readonly marked: boolean;
  /** Why it is refused; null: it is not. */
  readonly forbidden: string | null;
}

/** Sorts saved items into unchanged, done and refused ones. */
export function judgeItems(saved: PlannedItems, fresh: FreshPlan): JudgedItems {
  const now = new Map(fresh.items.map((item) => [itemKey(item), item]));
  const byTag = new Map(fresh.items.map((item) => [tagOf(item), item]));
  const agreed: PlanItem[] = [];
  const done: PlanItem[] = [];
  const refused: { item: PlanItem; why: string }[] = [];
  const common = commonChange(saved, fresh);
  for (const item of saved.items) {
    const found = now.get(itemKey(item));
    const sight = fresh.look(item);
    const why =
      common ??
      transformChange(saved.basis, fresh.basis, item) ??
      (found === undefined ? null : differences(item, found, sight));
    if (why === null && found !== undefined) agreed.push(item);
    else if (why === null && isDone(item, sight)) done.push(item);
    // A cleared mark is not reported (docs/rules/retention.md#clearing-is-quiet).
    else if (item.kind === 'unmarked') done.push(item);
    else refused.push({ item, why: why ?? whyGone(item, byTag.get(tagOf(item)), sight) });
  }
  return withoutOrphans(agreed, done, refused);
}

/** Refuses aliases of tags that are not placed after all. */
function withoutOrphans(
  agreed: readonly PlanItem[],
  done: readonly PlanItem[],
  refused: JudgedItems['refused'],
): JudgedItems {
  const placed = new Set(agreed.filter(({ kind }) => PLACED.has(kind)).map(tagOf));
  const isOrphan = ({ kind, digest, repository, src_tag }: PlanItem) =>
    kind === 'aliased' && digest === null && !placed.has(`${repository}:${src_tag}`);
  const orphans = agreed.filter(isOrphan).map((item) => {
    return { item, why: `the tag ${item.src_tag} that it is to show is not placed by this plan` };
  });
  return { agreed: agreed.filter((item) => !isOrphan(item)), done, refused: [...refused, ...orphans] };
}

const PLACED: ReadonlySet<string> = new Set(['imported', 'updated', 'restamped']);

function commonChange(saved: PlannedItems, fresh: FreshPlan): string | null {
  if (saved.refusal !== undefined) return saved.refusal;
  if (saved.policy !== fresh.policy) return `the policy was ${saved.policy}, and is ${fresh.policy}`;
  const names = new Set([...Object.keys(saved.basis.settings), ...Object.keys(fresh.basis.settings)]);
  for (const name of [...names].sort()) {
    const was = saved.basis.settings[name];
    const is = fresh.basis.settings[name];
    if (was !== is) return `${name} was ${quoted(was)}, and is ${quoted(is)}`;
  }
  return null;
}

function transformChange(was: PlanBasis, is: PlanBasis, item: PlanItem): string | null {
  const { kind } = item;
  if (item.variant === null || !(kind === 'imported' || kind === 'updated' || kind === 'held')) return null;
  const key = transformKey(item.import, item.variant);
  const before = was.transforms[key];
  const now = is.transforms[key];
  if (before === now) return null;
  return `the transform of ${key} was ${before ?? 'none'}, and is ${now ?? 'none'}`;
}

export function transformKey(importName: string, variant: string): string {
  return `${importName}/${variant}`;
}

/** Says what differs; null: nothing. */
function differences(was: PlanItem, is: PlanItem, { current }: Sight): string | null {
  const told: string[] = [];
  const shows = current === undefined ? is.current : current;
  if (was.current !== shows) told.push(shown(was.current, shows));
  if (was.digest !== is.digest) {
    const what = was.kind === 'aliased' ? 'what it is to show' : 'its source digest';
    told.push(`${what} was ${was.digest ?? 'not yet known'}, and is ${is.digest ?? 'not yet known'}`);
  }
  const words = [
    ['its source tag', was.src_tag, is.src_tag],
    ['its import', was.import, is.import],
    ['its variant', was.variant, is.variant],
    ['the reason', was.reason, is.reason],
  ] as const;
  for (const [what, before, now] of words) {
    if (before !== now) told.push(`${what} was ${before ?? 'none'}, and is ${now ?? 'none'}`);
  }
  return told.length === 0 ? null : told.join('; ');
}

function whyGone(item: PlanItem, other: PlanItem | undefined, { current, source, forbidden }: Sight): string {
  if (forbidden !== null) return forbidden;
  const told: string[] = [];
  if (current !== undefined && current !== item.current) told.push(shown(item.current, current));
  const fromSource = item.kind === 'imported' || item.kind === 'held';
  if (fromSource && source !== undefined && source !== item.digest) {
    told.push(`its source digest was ${item.digest}, and ${source === null ? 'it is gone' : `is ${source}`}`);
  }
  told.push(other === undefined ? 'nothing is to be done about it now' : `it is to be ${other.kind} now`);
  return told.join('; ');
}

function shown(was: Digest | null, is: Digest | null): string {
  return `the tag showed ${was ?? 'nothing'}, and shows ${is ?? 'nothing'}`;
}

/** Tells whether an item is done already, by this plan or another. */
function isDone({ kind, digest, current: was }: PlanItem, { current, placed, aim, marked }: Sight): boolean {
  switch (kind) {
    case 'imported':
    case 'updated':
    case 'held':
      return placed !== null && placed === digest;
    case 'restamped':
      return placed !== null && placed === digest && current !== was;
    case 'aliased':
      return typeof current === 'string' && current === aim;
    case 'deleted':
      return current === null;
    case 'sbom':
    case 'attested':
      return placed !== null && placed === digest && current === was;
    case 'marked':
      return marked;
    case 'unmarked':
      return false;
  }
}

function tagOf({ repository, tag }: PlanItem): string {
  return `${repository}:${tag}`;
}

function quoted(text: string | undefined): string {
  return text === undefined ? 'not among the settings' : JSON.stringify(text);
}
