import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  interface ProvidedContext {
    /** The path of the workflows' bundle: `Worker.create({ workflowBundle: { codePath: inject('workflowBundle') } })`. */
    workflowBundle: string;
  }
}

const ROOT = new URL('../../', import.meta.url);

/** Brings the build up to date, if it is not, so that no test sees yesterday's: the command, and the workflows' bundle. */
export default function setup(project: TestProject): void {
  execFileSync(process.execPath, [fileURLToPath(new URL('tools/build.mjs', ROOT))], { stdio: 'inherit' });
  project.provide('workflowBundle', fileURLToPath(new URL('dist/workflow-bundle.js', ROOT)));
}
