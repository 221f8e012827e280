import pLimit from 'p-limit';
import { type ReportedError, reportError } from '../../domain/errors.js';
import { formatInstant } from '../../domain/instant.js';
import { carryPage, saveItems } from '../../domain/plan/held-plan/carry-plan.js';
import { planPolicy, type Target } from '../../domain/plan/plan.js';
import { allWork, fillPage, reportTargets } from '../../domain/plan/plan-page.js';
import type { PlanRequest } from '../../domain/plan/request.js';
import type { SeenRepository, SourceDigests } from '../../domain/plan/survey.js';
import { expandTargets } from '../../domain/plan/targets.js';
import type { PlanPage } from '../../domain/plan/work.js';
import { refuseKeyServices, refuseUnrecorded } from '../../domain/policy/refuse.js';
import { type ResolvedPolicy, type ResolvedVariant, resolvePolicy } from '../../domain/policy/resolve.js';
import { formatRepository, parseRepository, type Repository } from '../../domain/reference.js';
import { failedLine, operationLine } from '../../domain/report/run/journal.js';
import type { PlannedOperation } from '../../domain/report/run/position.js';
import type { PlannedTransform } from '../../domain/transform/planned-transform.js';
import { planTransform } from '../../domain/transform/resolve.js';
import type { TransformResources } from '../../domain/transform/step.js';
import type { Dependencies } from '../dependencies.js';
import { listSourceTags, surveyDestination, surveySource } from '../repository/survey.js';
import { type StepContext, step } from '../step.js';
import { findMissingBases } from './find-missing-bases.js';
import { surveyRemovals } from './survey-removals.js';

/** Surveys at a time in one worker. More go no faster: registries serve a repository's requests in turn. */
const SURVEYS = 3;

/**
 * Surveys source and destinations and plans a policy; the result is small however large the repository: counts, and at
 * most a page of work. A destination that cannot be read is reported in the page; the others go on.
 * @throws HoubaError `PolicyInvalid`, `Unsupported`, `ConfigInvalid`, `NotFound`, `PreconditionFailed`, and what
 * reading the source throws
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
    refuseKeyServices(policy, deps.settings.verifyKms);
    const transforms = planTransforms(policy, deps.resources);
    const source = parseRepository(policy.source.registry, policy.source.repository);
    const upstream = await listSourceTags(deps.reader, source, context.signal);
    const targets = expandTargets(policy, upstream, deps.roster, deps.settings.deletionMode);
    const concurrency = request.options.concurrency ?? deps.settings.maxConcurrency;
    const survey = await surveys(() => surveyAll(deps, { policy, source, targets, request }, concurrency, context));
    const { prefix, stability, sbomFormats, buildPlatform, attest } = deps.settings;
    const settings = { prefix, stability, transforms };
    const decide = (missingBases: ReadonlySet<string>) =>
      planPolicy(policy, survey.targets, survey.source, survey.seen, { ...settings, missingBases });
    const hopeful = decide(new Set());
    const missingBases = await findMissingBases(deps, { source, targets, plan: hopeful }, concurrency, context.signal);
    const plan = missingBases.size === 0 ? hopeful : decide(missingBases);
    const sight = { ...survey, policy, plan, from: source, listed: upstream };
    const removals = await surveyRemovals(deps, sight, request, { width: concurrency, signal: context.signal });
    const { now, folder } = request;
    const { seenAt } = survey;
    const planning = {
      policy,
      source,
      targets,
      transforms,
      settings: { prefix, sbomFormats, buildPlatform, signer: attest.signer, builderId: attest.builderId },
      now,
      seenAt,
      folder,
    };
    const dryRun = {
      tags: request.options.dryRun || deps.settings.dryRunTags,
      deletions: request.options.dryRun || deps.settings.dryRunDeletions,
    };
    const whole = () => {
      const all = allWork(planning, plan, removals, request);
      return { ...planning, ...survey, document: request.policy, plan, ...all };
    };
    const journal = (reported: readonly PlannedOperation[]) => {
      for (const one of reported) journalPlanned(deps, policy.name, targets, one);
    };
    const notes = request.first ? notesOn(source, survey) : [];
    if (request.plan !== undefined) {
      const { reported, ...page } = carryPage(request.plan, whole(), dryRun);
      journal(reported);
      const error = survey.error ?? page.error;
      return { targets: reportTargets(survey.targets), settled: reported, cut: 0, concurrency, ...page, notes, error };
    }
    const saved = request.save === undefined ? {} : { saved: saveItems(whole(), request.save.after) };
    const { reported, ...page } = fillPage(planning, plan, removals, request, dryRun);
    journal(reported);
    return { ...page, ...saved, notes, error: survey.error, concurrency };
  });
}

/** What people should know of the survey, although nothing failed. */
function notesOn(source: Repository, { byGet }: WholeSurvey): string[] {
  if (byGet === 0) return [];
  const tags = byGet === 1 ? 'one tag was' : `${byGet} tags were`;
  return [
    `${formatRepository(source)}: ${tags} resolved by GET, for HEAD has no answer there; this may count as pulls`,
  ];
}

/** Plans the transforms of the rebuilt variants; names and parameters are checked before any registry is read. */
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

interface SurveyRequest {
  readonly policy: ResolvedPolicy;
  readonly source: Repository;
  readonly targets: readonly Target[];
  readonly request: PlanRequest;
}

interface WholeSurvey {
  /** All targets, so that an index means the same on every page; those that could not be read have no variants. */
  readonly targets: readonly Target[];
  readonly source: SourceDigests;
  readonly byGet: number;
  /** When the survey of the source ended, and never before the run began, whatever this machine's clock says. */
  readonly seenAt: string;
  readonly seen: ReadonlyMap<string, SeenRepository>;
  readonly error: ReportedError | null;
}

/** Surveys source and destinations; a failed one loses only its targets (docs/rules/plan.md#what-fails-stays-apart). */
async function surveyAll(
  deps: Dependencies,
  { policy, source, targets, request }: SurveyRequest,
  width: number,
  context: StepContext,
): Promise<WholeSurvey> {
  let looked = 0;
  const looking = { signal: context.signal, width, onTag: () => context.progress({ looked: ++looked }) };
  const wanted = new Set(targets.flatMap((target) => target.variants.flatMap((variant) => variant.selected)));
  const repositories = new Map(targets.map((target) => [formatRepository(target.repository), target.repository]));
  const how = { needsSbom: policy.artifactType === 'image', recheck: request.options.recheck };
  const failures = new Map<string, unknown>();
  const seen = new Map<string, SeenRepository>();
  const [{ digests, byGet, seenAt }] = await Promise.all([
    surveySource(deps.reader, source, [...wanted], looking).then((found) => {
      return { ...found, seenAt: formatInstant(Math.max(Date.now(), Date.parse(request.now))) };
    }),
    ...[...repositories].map(async ([name, repository]) => {
      try {
        seen.set(name, await surveyDestination(deps, repository, how, looking));
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
    byGet,
    seenAt,
    seen,
    error: failure === undefined ? null : reportError(failure),
  };
}

function journalPlanned(
  deps: Dependencies,
  policy: string,
  targets: readonly Target[],
  { position, operation }: PlannedOperation,
): void {
  const target = targets[position.target];
  const variant = position.variant === null ? '' : (target?.variants[position.variant]?.variant.name ?? '');
  const dest = target === undefined ? '' : formatRepository(target.repository);
  const { applied, error, reason, transform_steps } = operation;
  const details = { applied, transform_steps: transform_steps ?? undefined, reason };
  const line = operationLine({ policy, dest, variant }, operation, details);
  if (error === null) deps.journal.event('operation', { ...line });
  else deps.journal.event('operation.failed', failedLine(line, error));
}
