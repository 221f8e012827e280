import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Works in a folder that only this user can enter, and removes it afterwards: the home of one call of a tool, with all that the
 * tool is told and all that it writes (docs/rules/security.md#a-child-gets-what-it-needs).
 * @param tool how the folder's name begins
 */
export async function inPrivateFolder<Result>(
  workDir: string,
  tool: string,
  work: (folder: string) => Promise<Result>,
): Promise<Result> {
  await mkdir(workDir, { recursive: true });
  const folder = await mkdtemp(join(workDir, `${tool}-`));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
