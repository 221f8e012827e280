import { existsSync } from 'node:fs';
import { readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { readPolicyFiles } from '../../adapters/policy-files.js';
import type { PolicySource } from '../../domain/durable/messages.js';
import { HoubaError } from '../../domain/errors.js';
import { formatSavedPlan, parseSavedPlan, type SavedPlan } from '../../domain/plan/held-plan/saved-plan.js';
import { note } from './terminal.js';

const LARGEST = 256 * 1024 * 1024;

/** Reads a saved plan. @throws HoubaError `ConfigInvalid` with everything that is wrong and where */
export async function readPlanFile(file: string): Promise<SavedPlan> {
  try {
    if ((await stat(file)).size > LARGEST) throw new Error(`larger than ${LARGEST / 1024 / 1024} MiB`);
    return parseSavedPlan(file, await readFile(file, 'utf8'));
  } catch (cause) {
    if (cause instanceof HoubaError) throw cause;
    throw new HoubaError('ConfigInvalid', `the plan ${file} cannot be read (${reasonOf(cause)})`, {
      hint: 'write one with `houba plan DIR --out FILE`',
      cause,
    });
  }
}

/** Reads the policies as they are now, to compare the plan with; null: the folder is not on this machine. */
export async function policiesOfPlan({ directory, policies }: SavedPlan): Promise<PolicySource[] | null> {
  if (existsSync(directory)) return await readPolicyFiles(directory);
  if (policies.length > 0) note(`${directory} is not here: the policies are those that the plan was made from`);
  return null;
}

/** Checks that a plan can be saved, before anything is planned. */
export function checkWritable(file: string): void {
  if (existsSync(dirname(file))) return;
  throw new HoubaError('ConfigInvalid', `--out ${file}: there is no folder ${dirname(file)}`);
}

/** Saves a plan by a rename, so that nobody reads half of one. */
export async function writePlanFile(file: string, plan: SavedPlan): Promise<void> {
  const next = `${file}.${process.pid}.new`;
  try {
    await writeFile(next, formatSavedPlan(plan));
    await rename(next, file);
  } catch (cause) {
    await rm(next, { force: true });
    throw new HoubaError('ConfigInvalid', `--out ${file}: cannot be written (${reasonOf(cause)})`, { cause });
  }
  const items = plan.policies.reduce((sum, policy) => sum + policy.items.length, 0);
  const of = plan.policies.length === 1 ? '1 policy' : `${plan.policies.length} policies`;
  note(`wrote ${file}: ${items} ${items === 1 ? 'item' : 'items'} of ${of}`);
}

function reasonOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? (error instanceof Error ? error.message : String(error));
}
