import pLimit from 'p-limit';
import type {
  AliasPlacement,
  Backfill,
  Placement,
  PlannedOperation,
  PlannedTransform,
  PlanPage,
  PlanRequest,
  StatementFacts,
  Wait,
} from '../domain/durable/placement.js';
import { isPlaced, lostKey, type PolicyPlan, planPolicy, type TagDecision, type Target } from '../domain/plan/plan.js';
import type { PlannedWork } from '../domain/plan/planned-work.js';
import { refuseUnrecorded } from '../domain/plan/refuse.js';
import type { RemovalPlan } from '../domain/plan/removals.js';
import type { SeenRepository } from '../domain/plan/survey.js';
import { expandTargets } from '../domain/plan/targets.js';
import { type ResolvedPolicy, type ResolvedVariant, resolvePolicy } from '../domain/policy/resolve.js';
import {
  formatRepository,
  formatTagged,
  parseReference,
  parseRepository,
  type Reference,
  type Repository,
} from '../domain/reference.js';
import { HoubaError, type ReportedError, reportError } from '../domain/report/errors.js';
import { newOperation, type Operation, type OperationKind } from '../domain/report/run-report.js';
import { compareText } from '../domain/selection/version.js';
import { planTransform } from '../domain/transform/resolve.js';
import type { TransformResources } from '../domain/transform/step.js';
import { carryPage, saveItems } from './carry-plan.js';
import type { ActivitySettings, Dependencies } from './dependencies.js';
import { pageRemovals, surveyRemovals } from './plan-removals.js';
import { type StepContext, step } from './step.js';
import { listSourceTags, surveyDestination, surveySource } from './survey.js';

/** What one page of work may hold, in placements, backfills and alias moves together (architecture, section 3). */
const PAGE = 200;

/**
 * Surveys at a time in one worker. More of them do not go faster: the requests in flight are bounded per host, and
 * registries serve a repository's requests one after another (docs/performance.md).
 */
const SURVEYS = 3;

/** Waits of one page: their placements are alike, so that a page of them is well below what a payload may hold. */
const MOST_WAITS = 5_000;

/** A page lists this many operations that it only reports, and counts the rest. */
const MOST_LISTED = 5_000;

/**
 * Surveys source and destinations and plans, in one step whose result is small however large the repository: counts,
 * and at most a page of what must be done.
 *
 * Throws `PolicyInvalid`, `Unsupported`, `ConfigInvalid`, `NotFound`, `PreconditionFailed`, and what reading a registry
 * throws for the source. A destination that cannot be read is reported in the page; the others go on.
 */
export function createPlanPolicy(deps: Dependencies) {
  const surveys = pLimit(SURVEYS);
  return step(async (request: PlanRequest, context: StepContext): Promise<PlanPage> => {
    const policy = resolvePolicy(request.policy);
    if (request.first) {
      deps.journal.event('policy.started', {
        policy: policy.name,
        source: `${policy.source.registry}/${policy.source.repository}`,
      });
    }
    refuseUnrecorded(policy, deps.settings.prefix);
    const transforms = planTransforms(policy, deps.resources);
    const source = parseRepository(policy.source.registry, policy.source.repository);
    const upstream = await listSourceTags(deps.reader, source, context.signal);
    const targets = expandTargets(policy, upstream, deps.roster, deps.settings.deletionMode);
    const concurrency = request.options.concurrency ?? deps.settings.maxConcurrency;
    const survey = await surveys(() => surveyAll(deps, policy, source, targets, request, concurrency, context));
    const { prefix, stability } = deps.settings;
    const settings = { prefix, stability, transforms };
    const decide = (lost: ReadonlySet<string>) =>
      planPolicy(policy, survey.targets, survey.source, survey.seen, { ...settings, lost });
    const hopeful = decide(new Set());
    const lost = await findLost(deps, source, targets, hopeful, concurrency, context.signal);
    const plan = lost.size === 0 ? hopeful : decide(lost);
    const removals = await surveyRemovals(deps, { ...survey, policy, plan }, request, concurrency, context.signal);
    const planning = { policy, source, targets, transforms, settings: deps.settings, now: request.now };
    const dryRun = request.options.dryRun || deps.settings.dryRunTags;
    const whole = () => {
      const all = allWork(planning, plan, removals, request);
      return { ...planning, ...survey, document: request.policy, plan, ...all };
    };
    if (request.plan !== undefined) {
      const { reported, ...page } = carryPage(request.plan, whole(), request.options.dryRun);
      for (const { position, operation } of reported) journalPlanned(deps, policy.name, targets, position, operation);
      const error = survey.error ?? page.error;
      return { targets: reportTargets(survey.targets), settled: reported, cut: 0, concurrency, ...page, error };
    }
    const saved = request.save === undefined ? {} : { saved: saveItems(whole(), request.save.after) };
    const { reported, ...page } = fillPage(planning, plan, removals, request, dryRun);
    for (const { position, operation } of reported) journalPlanned(deps, policy.name, targets, position, operation);
    const { listed, rest } = listSome(reported);
    const counted = [...(request.first ? countKept(plan) : []), ...countOperations(rest)];
    return {
      ...page,
      ...pageWaits(planning, plan, request),
      ...saved,
      settled: listed,
      counted,
      cut: rest.length,
      error: survey.error,
      concurrency,
    };
  });
}

/** What a plan is turned into placements with. */
interface Planning {
  readonly policy: ResolvedPolicy;
  readonly source: Repository;
  readonly targets: readonly Target[];
  readonly transforms: ReadonlyMap<ResolvedVariant, PlannedTransform>;
  readonly settings: ActivitySettings;
  readonly now: string;
}

/** The transform of every variant that is rebuilt; names and parameters are checked here, before anything is read. */
function planTransforms(
  policy: ResolvedPolicy,
  resources: TransformResources,
): ReadonlyMap<ResolvedVariant, PlannedTransform> {
  const transforms = new Map<ResolvedVariant, PlannedTransform>();
  for (const variant of policy.imports.flatMap((entry) => entry.variants)) {
    if (variant.transform.length > 0) transforms.set(variant, planTransform(variant.transform, resources));
  }
  return transforms;
}

/**
 * Recorded base digests that an update needs and that nobody serves any more, by `lostKey`. Only those that the source's
 * tag does not show are asked for: one HEAD at the destination, and one at the source if it is not there. A registry that
 * does not answer settles nothing; the placement will say so.
 */
async function findLost(
  deps: Dependencies,
  source: Repository,
  targets: readonly Target[],
  plan: PolicyPlan,
  width: number,
  signal: AbortSignal,
): Promise<Set<string>> {
  const suspects = new Map<string, TagDecision>();
  for (const tag of plan.tags) {
    if (tag.kind !== 'update' || tag.baseDigest === null || tag.baseDigest === tag.sourceDigest) continue;
    suspects.set(lostKey((targets[tag.target] as Target).repository, tag.baseDigest), tag);
  }
  const lost = new Set<string>();
  const limit = pLimit(width);
  const look = async (key: string, tag: TagDecision): Promise<void> => {
    const digest = tag.baseDigest as string;
    try {
      for (const repository of [(targets[tag.target] as Target).repository, recordedSource(tag) ?? source]) {
        if ((await deps.reader.headManifest(repository, digest, signal)) !== null) return;
      }
    } catch {
      signal.throwIfAborted();
      return;
    }
    lost.add(key);
  };
  await Promise.all([...suspects].map(([key, tag]) => limit(() => look(key, tag))));
  return lost;
}

interface WholeSurvey {
  /** All of them, so that every page means the same by an index; those that could not be read want nothing. */
  readonly targets: readonly Target[];
  readonly source: Awaited<ReturnType<typeof surveySource>>;
  readonly seen: ReadonlyMap<string, SeenRepository>;
  readonly error: ReportedError | null;
}

/** Source and destinations at once. A destination that fails takes its targets out of the plan and nothing else (L7). */
async function surveyAll(
  deps: Dependencies,
  policy: ResolvedPolicy,
  source: Repository,
  targets: readonly Target[],
  request: PlanRequest,
  width: number,
  context: StepContext,
): Promise<WholeSurvey> {
  let looked = 0;
  const looking = { signal: context.signal, width, onTag: () => context.progress({ looked: ++looked }) };
  const wanted = new Set(targets.flatMap((target) => target.variants.flatMap((variant) => variant.selected)));
  const repositories = new Map(targets.map((target) => [formatRepository(target.repository), target.repository]));
  const needsSbom = policy.artifactType === 'image';
  const failures = new Map<string, unknown>();
  const seen = new Map<string, SeenRepository>();
  const [digests] = await Promise.all([
    surveySource(deps.reader, source, [...wanted], looking),
    ...[...repositories].map(async ([name, repository]) => {
      try {
        seen.set(name, await surveyDestination(deps, repository, needsSbom, request.options.recheck, looking));
      } catch (error) {
        context.signal.throwIfAborted();
        failures.set(name, error);
      }
    }),
  ]);
  const [failure] = failures.values();
  if (failures.size === repositories.size && failure !== undefined) throw failure;
  return {
    targets: targets.map((target) =>
      failures.has(formatRepository(target.repository)) ? { ...target, variants: [] } : target,
    ),
    source: digests,
    seen,
    error: failure === undefined ? null : reportError(failure),
  };
}

/** The stages of section 5 in their order, removals last; what does not fit waits for the next page. */
function fillPage(
  planning: Planning,
  plan: PolicyPlan,
  removals: RemovalPlan,
  request: PlanRequest,
  dryRun: boolean,
): Omit<PlanPage, 'settled' | 'counted' | 'cut' | 'error' | 'concurrency'> & { reported: PlannedOperation[] } {
  const { targets } = planning;
  const failed = new Set(request.failed);
  const isOpen = (target: number, tag: string) => !failed.has(failureKey(targets, target, tag));
  const toPlace = plan.tags.filter((tag) => isPlaced(tag) && isOpen(tag.target, tag.outTag));
  const toFill = plan.tags.filter((tag) => tag.needs.length > 0 && isOpen(tag.target, tag.outTag));
  const toPoint = plan.aliases.filter((alias) => isOpen(alias.target, alias.alias));
  const dryRemovals = request.options.dryRun || planning.settings.dryRunDeletions;
  const { reported: removed, refused, ...toRemove } = pageRemovals(removals, targets, request, dryRemovals);
  const toTag = dryRun ? 0 : toPlace.length + toFill.length + toPoint.length;
  const pending = toTag + toRemove.deletions.length + toRemove.marks.length;

  const settled = request.first ? settledOperations(plan) : [];
  const report = {
    targets: reportTargets(targets),
    pending,
    refused,
  };
  let room = PAGE;
  const take = <Item>(items: readonly Item[]): Item[] => {
    const taken = items.slice(0, room);
    room -= taken.length;
    return taken;
  };
  const removal = () => ({ deletions: take(toRemove.deletions), marks: take(toRemove.marks) });
  if (dryRun) {
    const planned = [
      ...toPlace.flatMap((tag) => plannedPlacement(planning, tag)),
      ...toFill.flatMap(plannedBackfill),
      ...toPoint.map(plannedAlias),
    ];
    const reported = [...settled, ...(request.first ? planned : []), ...removed];
    return { ...report, reported, placements: [], backfills: [], aliases: [], ...removal() };
  }
  return {
    ...report,
    reported: [...settled, ...removed],
    placements: take(toPlace).map((tag) => placement(planning, tag)),
    backfills: take(toFill).map((tag) => backfill(planning, tag)),
    aliases: take(toPoint).map((alias) => aliasPlacement(planning, alias)),
    ...removal(),
  };
}

/** Everything there is to do, whatever page has room for it, and what may not be done. */
function allWork(planning: Planning, plan: PolicyPlan, removals: RemovalPlan, request: PlanRequest) {
  const { deletions, marks, reported: forbidden } = pageRemovals(removals, planning.targets, request, false);
  const work: PlannedWork = {
    placements: plan.tags.filter(isPlaced).map((tag) => placement(planning, tag)),
    backfills: plan.tags.filter(({ needs }) => needs.length > 0).map((tag) => backfill(planning, tag)),
    aliases: plan.aliases.map((alias) => aliasPlacement(planning, alias)),
    waits: plan.tags.filter(({ wait }) => wait !== null).map((tag) => waitOf(planning, tag)),
    ...{ deletions, marks },
  };
  return { work, forbidden };
}

function reportTargets(targets: readonly Target[]): PlanPage['targets'] {
  return targets.map((target) => ({
    dest_repo: formatRepository(target.repository),
    variants: target.variants.map(({ variant }) => ({ name: variant.name, suffix: variant.suffix })),
  }));
}

/** What a page has room to list; failures go first, for they decide the exit code. */
function listSome(reported: readonly PlannedOperation[]): { listed: PlannedOperation[]; rest: PlannedOperation[] } {
  if (reported.length <= MOST_LISTED) return { listed: [...reported], rest: [] };
  const failed = reported.filter(({ operation }) => operation.error !== null);
  const inOrder = [...failed, ...reported.filter(({ operation }) => operation.error === null)];
  return { listed: inOrder.slice(0, MOST_LISTED), rest: inOrder.slice(MOST_LISTED) };
}

/** How a tag that failed is remembered within a run: it is not tried again. */
function failureKey(targets: readonly Target[], target: number, tag: string): string {
  const repository = targets[target]?.repository;
  return repository === undefined ? tag : formatTagged(repository, tag);
}

const OPERATION_OF: Readonly<Record<TagDecision['kind'], OperationKind>> = {
  import: 'imported',
  update: 'updated',
  restamp: 'restamped',
  held: 'held',
  keep: 'skipped',
  gone: 'imported',
};

/** The tags whose digest has to stand still first, from where the page before ended; in the order of the plan. */
function pageWaits(planning: Planning, plan: PolicyPlan, request: PlanRequest): Pick<PlanPage, 'waits' | 'waitsAfter'> {
  const { waitsAfter: after } = request;
  if (after === undefined) return {};
  const waiting = plan.tags
    .filter((tag) => tag.wait !== null)
    .map((tag) => ({ tag, name: failureKey(planning.targets, tag.target, tag.outTag) }))
    .filter(({ name }) => after === null || compareText(name, after) > 0);
  const cut = waiting.length > MOST_WAITS;
  const last = cut ? (waiting.map(({ name }) => name).sort(compareText)[MOST_WAITS - 1] as string) : null;
  const page = waiting.filter(({ name }) => last === null || compareText(name, last) <= 0);
  return { waits: page.map(({ tag }) => waitOf(planning, tag)), waitsAfter: last };
}

function waitOf(planning: Planning, tag: TagDecision): Wait {
  const digest = tag.sourceDigest as Wait['digest'];
  const asImport = placement(planning, { ...tag, kind: 'import', baseDigest: digest });
  return {
    digest,
    at: planning.now,
    placed: tag.recorded?.baseDigest ?? null,
    placement: { ...asImport, kind: tag.recorded === null ? 'imported' : 'updated' },
    ...(tag.wait as NonNullable<TagDecision['wait']>),
    listed: tag.kind === 'held',
    reason: tag.reason,
  };
}

function placement(planning: Planning, tag: TagDecision): Placement {
  const { policy, targets, settings } = planning;
  const target = targets[tag.target] as Target;
  const { platforms, stamp, keepUpstreamEvidence, verifyUpstream, owners, vendor } = target.import;
  const restamp = tag.kind === 'restamp';
  const transform = transformOf(planning, tag);
  // A restamp changes no bytes but the stamp's: it keeps what is recorded.
  const named = restamp ? recordedPlatforms(tag) : platforms;
  return {
    kind: OPERATION_OF[tag.kind] as Placement['kind'],
    position: { target: tag.target, variant: tag.variant },
    ...originOf(planning, tag),
    destination: destinationOf(targets, tag.target),
    tag: tag.outTag,
    current: tag.current,
    aliases: tag.aliases,
    platforms: named ?? (transform === null || restamp ? null : [settings.buildPlatform]),
    transform,
    stampTo: stamp,
    keepUpstreamEvidence,
    verifyUpstream: restamp ? null : verifyUpstream,
    upstreamVerified: restamp ? (tag.recorded?.upstreamVerified ?? null) : null,
    sign: settings.signer !== '',
    promoted: isRecorded(tag) ? (tag.recorded?.promoted ?? null) : null,
    label: {
      created: restamp ? (tag.recorded?.created ?? planning.now) : planning.now,
      artifactType: policy.artifactType,
      policy: policy.name,
      import: target.import.name,
      variant: variantOf(targets, tag)?.name ?? '',
      owners,
      vendor,
      platforms: named,
    },
  };
}

/** What was placed before is placed anew, and not another digest. */
function isRecorded({ kind, recorded, baseDigest }: TagDecision): boolean {
  return kind !== 'import' && recorded?.baseDigest === baseDigest;
}

/** What is placed anew keeps the recorded source: the policy's may be another one by now. */
function originOf(planning: Planning, tag: TagDecision): Pick<Placement, 'source' | 'sourceTag' | 'baseDigest'> {
  const recorded = isRecorded(tag) ? recordedSource(tag) : null;
  return {
    source: recorded === null ? planning.source : { host: recorded.host, path: recorded.path },
    sourceTag: recorded?.tag ?? tag.sourceTag,
    baseDigest: tag.baseDigest as Placement['baseDigest'],
  };
}

/** Where a placed image came from, by its own stamp; null when that cannot be read, and the policy's source is taken. */
function recordedSource({ recorded }: TagDecision): Reference | null {
  try {
    return recorded === null || recorded.baseName === null ? null : parseReference(recorded.baseName);
  } catch {
    return null;
  }
}

function recordedPlatforms({ recorded }: TagDecision): string[] | null {
  return recorded?.platforms?.split(',') ?? null;
}

function variantOf(targets: readonly Target[], tag: TagDecision): ResolvedVariant | undefined {
  return targets[tag.target]?.variants[tag.variant]?.variant;
}

function transformOf({ targets, transforms }: Planning, tag: TagDecision): PlannedTransform | null {
  const variant = variantOf(targets, tag);
  return (variant && transforms.get(variant)) ?? null;
}

function aliasPlacement({ targets }: Planning, alias: PolicyPlan['aliases'][number]): AliasPlacement {
  const { target, variant, ...move } = alias;
  return { ...move, position: { target, variant }, destination: destinationOf(targets, target) };
}

function backfill(planning: Planning, tag: TagDecision): Backfill {
  const { policy, targets, now } = planning;
  return {
    position: { target: tag.target, variant: tag.variant },
    destination: destinationOf(targets, tag.target),
    tag: tag.outTag,
    sourceTag: tag.sourceTag,
    sourceDigest: tag.sourceDigest as Backfill['sourceDigest'],
    subject: tag.current as Backfill['subject'],
    created: now,
    artifactType: policy.artifactType,
    needs: tag.needs,
    facts: recordedFacts(planning, tag),
  };
}

/** What a placed image says of itself; only `created` is the run's time, for that is when the statement is made (section 7.3). */
function recordedFacts(planning: Planning, tag: TagDecision): StatementFacts {
  const { policy, targets, now } = planning;
  const { recorded } = tag;
  return {
    policy: recorded?.policy ?? policy.name,
    import: recorded?.import ?? (targets[tag.target] as Target).import.name,
    variant: recorded?.variant ?? variantOf(targets, tag)?.name ?? '',
    ...originOf(planning, tag),
    created: now,
    platforms: recordedPlatforms(tag),
    transform: transformOf(planning, tag),
    stampTo: recorded?.stampTo ?? 'annotations',
    upstreamVerified: recorded?.upstreamVerified ?? null,
  };
}

function destinationOf(targets: readonly Target[], index: number): Placement['destination'] {
  const target = targets[index] as Target;
  return { registry: target.registry, host: target.repository.host, path: target.repository.path };
}

/** What the first page reports although nothing is done about it: waiting and gone tags. */
function settledOperations(plan: PolicyPlan): PlannedOperation[] {
  const operations: PlannedOperation[] = [];
  for (const tag of plan.tags) {
    if (tag.kind !== 'held' && tag.kind !== 'gone') continue;
    // Its wait tells when it will be ready.
    if (tag.wait !== null) continue;
    const { position, operation } = tagOperation(tag, OPERATION_OF[tag.kind]);
    const error = tag.kind === 'gone' ? goneError(tag) : null;
    const because = tag.reason === null ? {} : { reason: tag.reason };
    operations.push({ position, operation: { ...operation, error, ...because } });
  }
  return operations;
}

function goneError(tag: TagDecision): ReportedError {
  return reportError(new HoubaError('NotFound', `the source lists the tag ${tag.sourceTag} but does not serve it`));
}

/** Tags that stay as they are are only counted (section 10). */
function countKept(plan: PolicyPlan): PlanPage['counted'] {
  return count(
    plan.tags
      .filter((tag) => tag.kind === 'keep' && tag.needs.length === 0)
      .map(({ target, variant }) => ({ position: { target, variant }, kind: 'skipped' })),
  );
}

function countOperations(operations: readonly PlannedOperation[]): PlanPage['counted'] {
  return count(
    operations.map(({ position, operation: { kind, error } }) => ({
      position,
      kind: error === null ? kind : 'failed',
    })),
  );
}

function count(entries: readonly Pick<Counted, 'position' | 'kind'>[]): Counted[] {
  const counts = new Map<string, Counted>();
  for (const { position, kind } of entries) {
    const key = `${position.target} ${position.variant} ${kind}`;
    counts.set(key, { position, kind, count: (counts.get(key)?.count ?? 0) + 1 });
  }
  return [...counts.values()];
}

type Counted = PlanPage['counted'][number];

function plannedPlacement(planning: Planning, tag: TagDecision): PlannedOperation[] {
  const { position, operation } = tagOperation(tag, OPERATION_OF[tag.kind]);
  const aliases = tag.aliases.map(({ alias }) => ({
    position,
    operation: { ...newOperation('aliased', alias), src_tag: tag.outTag, digest: tag.baseDigest },
  }));
  const transform = transformOf(planning, tag);
  const steps = transform === null ? null : transform.steps.map((one) => one.name);
  return [{ position, operation: { ...operation, transform_steps: steps } }, ...aliases];
}

function plannedBackfill(tag: TagDecision): PlannedOperation[] {
  return tag.needs.map((kind) => tagOperation(tag, kind));
}

function plannedAlias(alias: PolicyPlan['aliases'][number]): PlannedOperation {
  return {
    position: { target: alias.target, variant: alias.variant },
    operation: { ...newOperation('aliased', alias.alias), src_tag: alias.outTag, out_digest: alias.digest },
  };
}

function tagOperation(tag: TagDecision, kind: OperationKind): PlannedOperation {
  return {
    position: { target: tag.target, variant: tag.variant },
    operation: {
      ...newOperation(kind, tag.outTag),
      src_tag: tag.sourceTag,
      digest: tag.sourceDigest,
      out_digest: tag.kind === 'held' || tag.kind === 'keep' ? tag.current : null,
    },
  };
}

function journalPlanned(
  deps: Dependencies,
  policy: string,
  targets: readonly Target[],
  position: PlannedOperation['position'],
  operation: Operation,
): void {
  const target = targets[position.target];
  const variant = position.variant === null ? '' : (target?.variants[position.variant]?.variant.name ?? '');
  const dest = target === undefined ? '' : formatRepository(target.repository);
  const { kind, out_tag, src_tag, digest, applied, error, reason, transform_steps } = operation;
  const facts = {
    ...{ policy, dest, variant, kind, out_tag, src_tag, digest, applied },
    ...(transform_steps === null ? {} : { transform_steps }),
    ...(reason === undefined ? {} : { reason }),
  };
  if (error === null) deps.journal.event('operation', facts);
  else
    deps.journal.event('operation.failed', {
      ...facts,
      error_type: error.type,
      error: error.message,
      exit_code: error.exit_code,
    });
}
