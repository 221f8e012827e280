import { utf8ToBytes } from '@noble/hashes/utils.js';
import { z } from 'zod';
import { digestOf } from '../digest.js';
import { HoubaError } from '../errors.js';
import { nearest } from '../text/nearest.js';
import { STEP_KINDS } from './kinds.js';
import type { PlannedTransform } from './planned-transform.js';
import type { StepKind, TransformResources, TransformStep } from './step.js';
import { transformVersion } from './version.js';

/**
 * Checks steps and finds what their names stand for.
 * @throws HoubaError `PolicyInvalid` as `refuseSteps`, `ConfigInvalid` for a bad certificate or mirror
 */
export function planTransform(steps: readonly TransformStep[], resources: TransformResources): PlannedTransform {
  const resolved = readSteps(steps).map(({ kind, params }) => ({
    name: kind.name,
    params,
    resources: kind.resources(params, resources),
  }));
  const certificates = new Map<string, string>();
  for (const { name, content } of resolved.flatMap((step) => step.resources)) {
    if (content !== null) certificates.set(name, content);
  }
  return {
    steps,
    version: transformVersion(resolved),
    resources: Array.from(certificates, ([name, content]) => ({ name, digest: digestOf(utf8ToBytes(content)) })),
  };
}

/**
 * Checks steps without a configuration.
 * @throws HoubaError `PolicyInvalid` that names step and parameter
 */
export function refuseSteps(steps: readonly TransformStep[]): void {
  readSteps(steps);
}

export interface ReadStep {
  readonly kind: StepKind;
  readonly params: unknown;
}

/** @throws HoubaError `PolicyInvalid` as `refuseSteps` does */
export function readSteps(steps: readonly TransformStep[]): ReadStep[] {
  return steps.map((step) => {
    const kind = STEP_KINDS.find(({ name }) => name === step.name);
    if (kind === undefined) throw unknownStep(step.name);
    const parsed = kind.params.safeParse(step.params);
    if (parsed.success) return { kind, params: parsed.data };
    const problems = parsed.error.issues.map((issue) => describe(issue, step.params, kind));
    throw new HoubaError('PolicyInvalid', `transform step ${kind.name}: ${problems.join('; ')}`);
  });
}

function unknownStep(name: string): HoubaError {
  const names = STEP_KINDS.map((kind) => kind.name);
  const meant = nearest(name, names);
  return new HoubaError('PolicyInvalid', `there is no transform step ${JSON.stringify(name)}`, {
    hint: meant === null ? `there are: ${names.join(', ')}` : `did you mean ${meant}?`,
  });
}

function describe(issue: z.core.$ZodIssue, params: TransformStep['params'], kind: StepKind): string {
  if (issue.code === 'unrecognized_keys') {
    const known = kind.params instanceof z.ZodObject ? Object.keys(kind.params.shape) : [];
    return issue.keys
      .map(
        (key) =>
          `unknown parameter ${JSON.stringify(key)}; did you mean ${nearest(key, known) ?? known.join(', or ')}?`,
      )
      .join('; ');
  }
  const [parameter] = issue.path;
  if (typeof parameter === 'string' && !Object.hasOwn(params, parameter)) {
    return `the required parameter ${JSON.stringify(parameter)} is missing`;
  }
  const value = issue.path.reduce<unknown>((part, key) => (part as Record<PropertyKey, unknown>)[key], params);
  const shown = typeof value === 'string' ? ` ${JSON.stringify(value.slice(0, 80))}` : '';
  return `${issue.path.join('.')}:${shown} ${issue.message}`;
}
