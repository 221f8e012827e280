import type { WorkflowResultType } from '@temporalio/common';
import type * as workflows from '../workflows/index.js';

/** Every workflow by its name, as a type: the code belongs to the worker. */
export type Workflows = typeof workflows;
export type WorkflowName = keyof Workflows;
export type InputOf<Name extends WorkflowName> = Parameters<Workflows[Name]>[0];
export type ResultOf<Name extends WorkflowName> = WorkflowResultType<Workflows[Name]>;
