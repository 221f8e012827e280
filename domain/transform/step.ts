import type { z } from 'zod';
import type { ImageFiles, LayerFile } from './image-files.js';

export interface TransformStep {
  readonly name: string;
  readonly params: Readonly<Record<string, unknown>>;
}

export type { LayerFile } from './image-files.js';

/** A kind of transform step, listed in kinds.ts (docs/rules/transform.md#steps-add-files-and-run-nothing). */
export interface StepKind<Params = unknown> {
  readonly name: string;
  /** A strict schema. Its messages follow the parameter's name. */
  readonly params: z.ZodType<Params>;
  /** Finds what the names in the parameters stand for. @throws HoubaError `ConfigInvalid` */
  resources(params: Params, configured: TransformResources): Resource[];
  /** Absolute paths that `apply` reads; with a final `/`, all files directly in a directory. */
  wantedPaths(params: Params): string[];
  /** @throws HoubaError `PolicyInvalid` when it cannot work on this image; `ConfigInvalid` as `resources` */
  apply(params: Params, configured: TransformResources, image: ImageFiles): StepEffect;
}

export interface StepEffect {
  readonly files: readonly LayerFile[];
  readonly env: Readonly<Record<string, string>>;
}

/** What the worker's settings name. Both throw `ConfigInvalid` for an unknown name. */
export interface TransformResources {
  /** PEM text. */
  caCert(name: string): string;
  packageMirror(name: string): PackageMirror;
}

/** Addresses by package system; null: none. */
export interface PackageMirror {
  readonly apt: string | null;
  readonly apk: string | null;
}

/** Always these six keys (docs/rules/transform.md#the-version-covers-all-that-decides). */
export interface Resource extends PackageMirror {
  readonly kind: 'caCert' | 'packageMirror';
  readonly name: string;
  readonly filename: string | null;
  readonly content: string | null;
}
