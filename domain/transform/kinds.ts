import { injectCA } from './inject-ca.js';
import { rewritePackageSources } from './rewrite-package-sources.js';
import { setTimezone } from './set-timezone.js';
import type { StepKind } from './step.js';

/** A step is only given parameters that its own schema has read. */
export const STEP_KINDS: readonly StepKind[] = [injectCA, rewritePackageSources, setTimezone];
