import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openWorkDir } from '../../../worker/work-dir.js';

let root: string;

beforeEach(() => {
  root = join(mkdtempSync(join(tmpdir(), 'houba-work-')), 'work');
});
afterEach(() => {
  rmSync(join(root, '..'), { recursive: true, force: true });
});

/** The folder that a worker with this process id would have left, with a secret in it. */
function left(host: string, pid: number): string {
  const path = join(root, `worker-${host}-${pid}-abc123`);
  mkdirSync(join(path, 'regctl-1'), { recursive: true });
  writeFileSync(join(path, 'regctl-1', 'config.json'), 'password');
  return path;
}

function deadPid(): number {
  return spawnSync(process.execPath, ['-e', '']).pid;
}

/** Whether anything of the process group lives; a zombie that nobody has collected does not. */
function groupLives(pgid: string): boolean {
  return readdirSync('/proc').some((name) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      const [state, , group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return group === pgid && state !== 'Z';
    } catch {
      return false;
    }
  });
}

describe('openWorkDir', () => {
  it('gives each worker a folder of its own that nobody else may read, and removes it at the end', () => {
    const first = openWorkDir(root);
    const second = openWorkDir(root);
    expect(first.path).not.toBe(second.path);
    expect(statSync(first.path).mode & 0o777).toBe(0o700);
    writeFileSync(join(first.path, 'file'), 'text');
    first.close();
    second.close();
    expect(readdirSync(root)).toEqual([]);
  });

  it('removes what a killed worker of this host left', () => {
    const dead = left(hostname(), deadPid());
    openWorkDir(root).close();
    expect(existsSync(dead)).toBe(false);
  });

  it('removes what an earlier process with its own id left, as in a restarted container', () => {
    const before = left(hostname(), process.pid);
    openWorkDir(root).close();
    expect(existsSync(before)).toBe(false);
  });

  it('leaves live workers alone, those of other hosts, and what is not a worker’s', () => {
    const kept = [left(hostname(), process.ppid), left('another-host', deadPid()), join(root, 'notes-12-x')];
    mkdirSync(kept[2] as string);
    openWorkDir(root).close();
    expect(kept.every((path) => existsSync(path))).toBe(true);
  });

  it.runIf(process.platform === 'linux')(
    'ends the tools of a killed worker, and what they started, first',
    async () => {
      const script = join(root, '..', 'worker.mjs');
      const tool = `process.on('SIGTERM', () => {}); require('node:child_process').spawn('sleep', ['600']);
      setInterval(() => require('node:fs').writeFileSync(process.env.HOME + '/half-' + Date.now(), ''), 5);`;
      mkdirSync(join(root, '..'), { recursive: true });
      writeFileSync(
        script,
        `import { mkdirSync } from 'node:fs';
       import { hostname } from 'node:os';
       import { spawn } from 'node:child_process';
       const home = ${JSON.stringify(root)} + '/worker-' + hostname() + '-' + process.pid + '-abc123/buildctl-x';
       mkdirSync(home, { recursive: true });
       const env = { ...process.env, HOME: home };
       const child = spawn(process.execPath, ['-e', ${JSON.stringify(tool)}], { env, detached: true, stdio: 'ignore' });
       console.log(child.pid + ' ' + home);
       setInterval(() => {}, 1000);`,
      );
      const worker = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] });
      const [line] = (await once(worker.stdout, 'data')) as [Buffer];
      const [pid = '', home = ''] = line.toString().trim().split(' ');
      await expect.poll(() => readdirSync(home).length).toBeGreaterThan(0);
      worker.kill('SIGKILL');
      await once(worker, 'exit');
      expect(groupLives(pid)).toBe(true);

      openWorkDir(root).close();
      expect(existsSync(home)).toBe(false);
      await expect.poll(() => groupLives(pid)).toBe(false);
      expect(readdirSync(root)).toEqual([]);
    },
  );

  it.runIf(process.getuid?.() === 0)('refuses a folder of another user', () => {
    // Not ours and not the superuser's: seen as one who is neither.
    mkdirSync(root);
    chownSync(root, 12345, 12345);
    expect(() => openWorkDir(root)).toThrow(/belongs to another user \(12345\)/);
  });

  it('says which variable to set when the folder cannot be made', () => {
    mkdirSync(join(root, '..'), { recursive: true });
    writeFileSync(root, 'a file');
    expect(() => openWorkDir(root)).toThrow(expect.objectContaining({ code: 'ConfigInvalid' }));
  });
});
