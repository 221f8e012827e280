import type { ImageFiles } from './image-files.js';
import { readSteps } from './resolve.js';
import type { StepEffect, TransformResources, TransformStep } from './step.js';

/** What one step of a transform adds to an image. */
export interface AppliedStep {
  readonly step: string;
  readonly effect: StepEffect;
}

/**
 * What the steps add to an image, in their order: each sees the files of those before it.
 * @param image with the content of every path in `wantedPaths`
 * @throws HoubaError `PolicyInvalid` when a step cannot do its work on this image, or is none
 * @throws HoubaError `ConfigInvalid` when what a name stood for is gone
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

/** The files whose content the steps need; one that ends in `/` means all those directly in that directory. */
export function wantedPaths(steps: readonly TransformStep[]): string[] {
  return [...new Set(readSteps(steps).flatMap(({ kind, params }) => kind.wantedPaths(params)))].sort();
}
