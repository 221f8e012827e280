import type { z } from 'zod';
import type { ImageFiles, LayerFile } from './image-files.js';

/** A transform step as written: its name and its parameters. */
export interface TransformStep {
  readonly name: string;
  readonly params: Readonly<Record<string, unknown>>;
}

export type { LayerFile } from './image-files.js';

/**
 * A kind of transform step (docs/rules/transform.md#steps-add-files-and-run-nothing). It runs nothing in the image: it looks at
 * what the base has and says which files and variables to add. So it works where there is no shell, for every architecture, and
 * no parameter meets one. A new kind is one file like those beside this, and one line in kinds.ts.
 */
export interface StepKind<Params = unknown> {
  /** As policies write it, and as the stamp tells it. */
  readonly name: string;
  /** Strict: what is not known is refused. Its messages follow the parameter's name. */
  readonly params: z.ZodType<Params>;
  /**
   * What the configuration has for the names in the parameters, checked.
   * @throws HoubaError `ConfigInvalid`
   */
  resources(params: Params, configured: TransformResources): Resource[];
  /** The files that `apply` reads, by absolute path; one that ends in `/` means all those directly in that directory. */
  wantedPaths(params: Params): string[];
  /**
   * @throws HoubaError `PolicyInvalid` when the step cannot do its work on this image
   * @throws HoubaError `ConfigInvalid` as `resources` does
   */
  apply(params: Params, configured: TransformResources, image: ImageFiles): StepEffect;
}

/** What a step adds to the image. */
export interface StepEffect {
  readonly files: readonly LayerFile[];
  readonly env: Readonly<Record<string, string>>;
}

/** What steps may use besides their parameters. Both throw `ConfigInvalid` for a name they do not know. */
export interface TransformResources {
  /** PEM text. */
  caCert(name: string): string;
  packageMirror(name: string): PackageMirror;
}

/** The mirror's address for each package system; null: it has none. */
export interface PackageMirror {
  readonly apt: string | null;
  readonly apk: string | null;
}

/**
 * A resource as the transform version counts it (docs/rules/transform.md#the-version-covers-all-that-decides): always these six
 * keys.
 */
export interface Resource extends PackageMirror {
  readonly kind: 'caCert' | 'packageMirror';
  readonly name: string;
  readonly filename: string | null;
  readonly content: string | null;
}
