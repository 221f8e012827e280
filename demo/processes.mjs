// The background processes of the demo: each has a pid file and a log in one folder, by which a later command finds it.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** What went wrong, in words for the person at the terminal. */
export class DemoError extends Error {}

export function processesIn(folder) {
  const pidFile = (name) => join(folder, `${name}.pid`);
  const readPid = (name) => (existsSync(pidFile(name)) ? Number(readFileSync(pidFile(name), 'utf8')) : 0);

  function start(name, program, args) {
    const log = openSync(join(folder, `${name}.log`), 'a');
    const child = spawn(program, args, { cwd: folder, detached: true, stdio: ['ignore', log, log] });
    writeFileSync(pidFile(name), String(child.pid));
    child.unref();
  }

  /** Whether the process recorded under `name` lives. A reused pid does not count: its arguments name no path in here. */
  function alive(name) {
    const pid = readPid(name);
    return pid !== 0 && commandLine(pid).includes(folder);
  }

  async function stop(name) {
    for (let waited = 0; alive(name); waited += 100) {
      if (waited === 0) process.kill(readPid(name), 'SIGTERM');
      if (waited === 5_000) process.kill(readPid(name), 'SIGKILL');
      await sleep(100);
    }
    rmSync(pidFile(name), { force: true });
  }

  /** Waits until `holds()` is true; a throw means "not yet". */
  async function until(name, timeoutMs, holds) {
    const deadline = Date.now() + timeoutMs;
    while (Date.now() < deadline && alive(name)) {
      if (
        await Promise.resolve()
          .then(holds)
          .catch(() => false)
      )
        return;
      await sleep(100);
    }
    const words = readFileSync(join(folder, `${name}.log`), 'utf8')
      .trimEnd()
      .split('\n')
      .at(-1);
    throw new DemoError(`${name} did not start; its last words: ${words || 'none'}`);
  }

  return { start, stop, alive, until };
}

/** Refuses a port that is taken, naming the variable that moves it. */
export async function requirePort(port, variable) {
  const free = await new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
  if (!free) throw new DemoError(`port ${port} is in use; ${variable} moves it: make demo ${variable}=${port + 100}`);
}

function commandLine(pid) {
  try {
    // A program that has ended but was not waited for has an empty one.
    if (existsSync('/proc/self')) return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
  return spawnSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' }).stdout ?? '';
}
