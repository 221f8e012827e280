import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  interface ProvidedContext {
    /** The path of the workflows' bundle: `Worker.create({ workflowBundle: { codePath: inject('workflowBundle') } })`. */
    workflowBundle: string;
  }
}

/** Bundles the workflows once a suite, from the sources, so that no test sees yesterday's build. */
export default async function setup(project: TestProject): Promise<() => void> {
  const { code } = await bundleWorkflowCode({
    workflowsPath: fileURLToPath(new URL('../../workflows/index.ts', import.meta.url)),
    logger: new DefaultLogger('WARN'),
    // Sources import each other as `.js`, which is what they compile to.
    webpackConfigHook: (config) => ({
      ...config,
      resolve: { ...config.resolve, extensionAlias: { '.js': ['.ts', '.js'] } },
    }),
  });
  const folder = fileURLToPath(new URL('../../.state/test/', import.meta.url));
  const path = `${folder}workflow-bundle-${project.name}-${process.pid}.js`;
  mkdirSync(folder, { recursive: true });
  writeFileSync(path, code);
  project.provide('workflowBundle', path);
  return () => rmSync(path, { force: true });
}
