import { Command } from 'commander';
import { clearDeadStack } from '../../stack/embedded.js';
import { isAlive, stopProcess } from '../../stack/processes.js';
import { openHome, readStack, withLock } from '../../stack/stack-files.js';
import { settingsOfProcess } from '../settings.js';
import { note } from '../terminal.js';

/** The worker waits up to 40 s for its activities. */
const STOP_WITHIN_MS = 60_000;

export function downCommand(): Command {
  return new Command('down').addHelpText('after', '\nExample:\n  houba down').action(down);
}

async function down(): Promise<void> {
  const { settings } = settingsOfProcess();
  const { home } = settings;
  openHome(home);
  const stack = readStack(home);
  if (stack !== null && isAlive(stack.owner.pid, stack.owner.identity)) {
    if (stack.mode === 'command') {
      return note(`nothing is up; the stack in ${home} belongs to a running command (process ${stack.owner.pid})`);
    }
    await stopProcess(stack.owner.pid, stack.owner.identity, STOP_WITHIN_MS);
  }
  await withLock(home, note, () => clearDeadStack(home));
  note(stack === null ? `nothing is up in ${home}` : 'down');
}
