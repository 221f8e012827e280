import { readdirSync, readFileSync } from 'node:fs';

/** The ids of live processes whose home lies below a folder, as that of every tool of a worker does. Linux only. */
export function processesWithHome(folder: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && homeOf(name).startsWith(folder))
    .map(Number);
}

function homeOf(pid: string): string {
  try {
    const variables = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
    return variables.find((variable) => variable.startsWith('HOME='))?.slice('HOME='.length) ?? '';
  } catch {
    return '';
  }
}
