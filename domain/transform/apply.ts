import type { ImageFiles } from './image-files.js';
import { readSteps } from './resolve.js';
import type { StepEffect, TransformResources, TransformStep } from './step.js';

export interface AppliedStep {
  readonly step: string;
  readonly effect: StepEffect;
}

/**
 * Applies the steps in order: each sees the files of those before it.
 * @param image with the content of every path in `wantedPaths`
 * @throws HoubaError `PolicyInvalid` when a step cannot work on this image, `ConfigInvalid` for an unknown name
 */
export function applyTransform(
  steps: readonly TransformStep[],
  resources: TransformResources,
  image: ImageFiles,
): readonly AppliedStep[] {
  const applied: AppliedStep[] = [];
  let current = image;
  for (const { kind, params } of readSteps(steps)) {
    const effect = kind.apply(params, resources, current);
    applied.push({ step: kind.name, effect });
    current = current.with(effect.files);
  }
  return applied;
}

export function wantedPaths(steps: readonly TransformStep[]): string[] {
  return [...new Set(readSteps(steps).flatMap(({ kind, params }) => kind.wantedPaths(params)))].sort();
}
