import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { machineError } from '../domain/errors.js';

/** Works in a folder of this user alone, removed afterwards (docs/rules/security.md#a-child-gets-what-it-needs). */
export async function inPrivateFolder<Result>(
  workDir: string,
  tool: string,
  work: (folder: string) => Promise<Result>,
): Promise<Result> {
  await mkdir(workDir, { recursive: true });
  const folder = await mkdtemp(join(workDir, `${tool}-`));
  try {
    return await work(folder);
  } catch (error) {
    throw machineError(error, workDir) ?? error;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
