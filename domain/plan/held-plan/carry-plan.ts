import { valueDigest } from '../../canonical-json.js';
import { HoubaError, type ReportedError, reportError } from '../../errors.js';
import type { ResolvedPolicy, ResolvedVariant } from '../../policy/resolve.js';
import type { MirrorPolicy } from '../../policy/schema.js';
import { formatRepository, formatTagged } from '../../reference.js';
import type { PlannedOperation, Position } from '../../report/run/position.js';
import { newOperation, type Operation } from '../../report/run/run-report.js';
import { compareText } from '../../text/compare-text.js';
import type { PolicyPlan, Target } from '../plan.js';
import type { ItemPage, PlanBasis, PlanItem, PlannedItems } from '../plan-item.js';
import type { DryRun } from '../plan-page.js';
import type { SeenRepository, SourceDigests } from '../survey.js';
import type { PlannedWork, PlanPage } from '../work.js';
import { itemsOf, sortKey, workOf } from './items-of-work.js';
import { judgeItems, type Sight, transformKey } from './judge-items.js';

/** Items on a page, which is the result of an activity. */
const MOST_ITEMS = 1_000;

export interface PlannedNow {
  readonly policy: ResolvedPolicy;
  readonly document: MirrorPolicy;
  readonly settings: {
    readonly prefix: string;
    readonly sbomFormats: readonly string[];
    readonly signer: string;
    readonly builderId: string;
    readonly buildPlatform: string;
  };
  readonly transforms: ReadonlyMap<ResolvedVariant, { readonly version: string }>;
  readonly targets: readonly Target[];
  readonly plan: PolicyPlan;
  readonly work: PlannedWork;
  readonly source: SourceDigests;
  readonly seen: ReadonlyMap<string, SeenRepository>;
  /** Why some destinations could not be read; null: all were. */
  readonly error: ReportedError | null;
  /** Removals in repositories over the cap, each with its error. */
  readonly forbidden: readonly PlannedOperation[];
}

/** Returns the items after a key; null: from the first. */
export function saveItems(now: PlannedNow, after: string | null): ItemPage {
  const items = itemsOf(now.work, now.targets).filter(
    (item) => after === null || compareText(sortKey(item), after) > 0,
  );
  const page = items.slice(0, MOST_ITEMS);
  const last = page.at(-1);
  const cut = items.length > MOST_ITEMS && last !== undefined;
  return { items: page, basis: basisOf(now), after: cut ? sortKey(last) : null };
}

export interface CarriedPage extends PlannedWork {
  readonly waitsAfter: null;
  readonly reported: readonly PlannedOperation[];
  readonly counted: PlanPage['counted'];
  readonly pending: number;
  /** Items whose repository is no destination any more, so that no report line takes them. */
  readonly error: ReportedError | null;
}

/** Compares saved items with a new plan: changed ones are refused, what was not saved is left alone. */
export function carryPage(saved: PlannedItems, now: PlannedNow, dryRun: DryRun): CarriedPage {
  const judged = judgeItems(saved, {
    basis: basisOf(now),
    policy: valueDigest(now.document),
    items: itemsOf(now.work, now.targets),
    look: lookAt(now),
  });
  const strangers: PlanItem[] = [];
  const refused = judged.refused.flatMap(({ item, why }) => {
    const position = positionOf(item, now.targets);
    if (position === null) strangers.push(item);
    return position === null ? [] : [{ position, operation: refusedOperation(item, refusal(item, why, now)) }];
  });
  const isDry = ({ kind }: PlanItem) => kind !== 'held' && (REMOVALS.has(kind) ? dryRun.deletions : dryRun.tags);
  const planned = judged.agreed
    .filter((item) => isDry(item) && item.kind !== 'unmarked')
    .flatMap((item) => {
      const position = positionOf(item, now.targets);
      return position === null ? [] : [{ position, operation: itemOperation(item) }];
    });
  const applied = judged.agreed.filter((item) => !isDry(item));
  const counted = judged.done.flatMap((item): PlanPage['counted'][number][] => {
    const position = positionOf(item, now.targets);
    return position === null || item.kind === 'unmarked' ? [] : [{ position, kind: 'skipped', count: 1 }];
  });
  return {
    ...workOf(now.work, now.targets, applied),
    waitsAfter: null,
    reported: [...refused, ...planned],
    counted,
    pending: saved.items.length,
    error: strangers.length === 0 ? null : strangerError(strangers),
  };
}

const REMOVALS: ReadonlySet<string> = new Set(['deleted', 'marked', 'unmarked']);

function itemOperation(item: PlanItem): Operation {
  const { kind, tag, src_tag, digest, current, reason } = item;
  return {
    ...newOperation(kind === 'unmarked' ? 'marked' : kind, tag),
    ...{ src_tag, digest, out_digest: kind === 'held' || kind === 'deleted' || kind === 'marked' ? current : null },
    ...(reason === null ? {} : { reason }),
  };
}

/** Finds the target of an item; null: the policy has it no more. */
function positionOf(item: PlanItem, targets: readonly Target[]): Position | null {
  const inRepository = (target: Target) => formatRepository(target.repository) === item.repository;
  const own = targets.findIndex((target) => inRepository(target) && target.import.name === item.import);
  const index = own === -1 ? targets.findIndex(inRepository) : own;
  if (index === -1) return null;
  const variant = targets[index]?.variants.findIndex(({ variant: { name } }) => name === item.variant) ?? -1;
  return { target: index, variant: variant === -1 ? null : variant };
}

/** Reports a refused item; a changed wait is no error, as it had nothing to carry out. */
function refusedOperation(item: PlanItem, error: ReportedError): Operation {
  const isMoved = item.kind === 'held' && error.type === 'PreconditionFailed';
  return { ...itemOperation(item), ...(isMoved ? { reason: error.message } : { error }) };
}

function refusal(item: PlanItem, why: string, { seen, error }: PlannedNow): ReportedError {
  if (error !== null && !seen.has(item.repository)) return error;
  const name = `${item.repository}:${item.tag}`;
  return reportError(
    new HoubaError('PreconditionFailed', `${name} is no longer as it was planned: ${why}`, { hint: 'plan anew' }),
  );
}

function strangerError(items: readonly PlanItem[]): ReportedError {
  const [first] = items;
  const what = items.length === 1 ? 'one item' : `${items.length} items`;
  return reportError(
    new HoubaError(
      'PreconditionFailed',
      `${what} of the plan refused: ${first?.repository} is no destination of the policy any more`,
      { hint: 'plan anew' },
    ),
  );
}

function lookAt({ plan, targets, source, seen, forbidden }: PlannedNow): (item: PlanItem) => Sight {
  const placed = new Map(
    plan.tags.flatMap(({ kind, target, outTag, recorded, reason }) => {
      const repository = targets[target]?.repository;
      const stays = kind === 'keep' || (kind === 'held' && reason === null);
      if (!stays || repository === undefined || recorded === null) return [];
      return [[formatTagged(repository, outTag), recorded.baseDigest] as const];
    }),
  );
  const capped = new Map(
    forbidden.map(({ position, operation }) => {
      const repository = targets[position.target]?.repository;
      const name = repository === undefined ? '' : formatTagged(repository, operation.out_tag);
      return [`${operation.kind} ${name}`, operation.error?.message ?? null] as [string, string | null];
    }),
  );
  return ({ kind, repository, tag, src_tag, current, reason }) => {
    const found = seen.get(repository);
    const marks = (current === null ? undefined : found?.marks.get(current)) ?? [];
    return {
      current: found === undefined ? undefined : (found.tags.get(tag)?.digest ?? null),
      source: src_tag === null ? undefined : (source.get(src_tag) ?? null),
      placed: placed.get(`${repository}:${tag}`) ?? null,
      aim: (src_tag === null ? undefined : found?.tags.get(src_tag)?.digest) ?? null,
      marked: marks.some(({ mark }) => mark.tag === tag && mark.reason === reason && mark.state === 'pending-deletion'),
      forbidden: capped.get(`${kind} ${repository}:${tag}`) ?? null,
    };
  };
}

function basisOf({ settings, policy, transforms }: PlannedNow): PlanBasis {
  const versions = policy.imports.flatMap((entry) =>
    entry.variants.flatMap((variant) => {
      const transform = transforms.get(variant);
      return transform === undefined ? [] : [[transformKey(entry.name, variant.name), transform.version] as const];
    }),
  );
  return {
    settings: {
      HOUBA_LABEL_PREFIX: settings.prefix,
      HOUBA_SBOM_FORMATS: settings.sbomFormats.join(','),
      HOUBA_ATTEST_SIGNER: settings.signer,
      HOUBA_ATTEST_BUILDER_ID: settings.builderId,
      HOUBA_BUILD_PLATFORM: settings.buildPlatform,
    },
    transforms: Object.fromEntries(versions),
  };
}
