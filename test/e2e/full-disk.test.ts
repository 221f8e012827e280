import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { programPath } from '../../config/programs.js';
import { createRebuildWorld, debianBase, type RebuildWorld } from '../support/rebuild-world.js';
import { startOlareg } from '../support/registries.js';
import { createHouba, leftIn, operationsOf } from '../support/stack.js';
import { alike, push } from '../support/upstream-images.js';

const PROGRAMS = ['regctl', 'syft', 'cosign', 'buildctl'] as const;
const folder = mkdtempSync(join(tmpdir(), 'houba-disk-'));
const disk = join(folder, 'disk');
const full = join(folder, 'full-before');
mkdirSync(disk);
/** Not in CI: a minute for each program, since what fails is tried again. Needs the rights to mount. */
const isMounted =
  process.env.CI === undefined && spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'houba-test', disk]).status === 0;

let world: RebuildWorld;

beforeAll(async () => {
  if (!isMounted) return;
  const program = installWithFillers();
  world = await createRebuildWorld(startOlareg, { HOUBA_WORK_DIR: join(disk, 'work') }, (registries, more) =>
    createHouba(registries, more, program),
  );
  await world.houba.up();
});

afterAll(async () => {
  await world?.stop();
  if (isMounted) spawnSync('umount', [disk]);
  rmSync(folder, { recursive: true, force: true });
});

/** Installs the package once more, with programs that fill the disk first where `full-before` names them. */
function installWithFillers(): string {
  const from = dirname(dirname(inject('houbaWithInstantSyft')));
  const to = join(folder, 'package');
  cpSync(from, to, { recursive: true, verbatimSymlinks: true });
  for (const name of PROGRAMS) {
    const path = join(to, '.tools', 'bin', name);
    rmSync(path);
    writeFileSync(
      path,
      `#!/bin/sh
[ "$(/bin/cat ${full} 2>/dev/null)" != ${name} ] || /usr/bin/head -c 64M /dev/zero > ${disk}/filler 2>/dev/null
exec ${programPath(name)} "$@"
`,
    );
    chmodSync(path, 0o755);
  }
  return join(to, 'bin', 'houba');
}

describe.skipIf(!isMounted)('the disk of the work directory becomes full', () => {
  it.each(PROGRAMS)('when %s begins: what fails says so, and nothing is done that is not there', async (program) => {
    const { houba, regctl, upstream, at } = world;
    await push(upstream.host, `${program}/copied`, ['1.0.0'], alike(`copied ${program}`));
    await push(upstream.host, `${program}/rebuilt`, ['1.0.0'], await debianBase(`rebuilt-${program}`));
    const policyOf = (name: string) => ({
      ...{ name: `${program}-${name}`, from: `${upstream.host}/${program}/${name}` },
      to: [`main:demo-${program}/${name}`],
    });
    const variants = [{ name: 'eu', transform: [{ setTimezone: { zone: 'Europe/Rome' } }] }];
    const dir = houba.policies(policyOf('copied'), { ...policyOf('rebuilt'), import: { variants } });

    writeFileSync(full, program);
    const { report, code } = await houba.reconcile(dir);
    rmSync(full);
    rmSync(join(disk, 'filler'));
    const errors = operationsOf(report).flatMap(({ error }) => (error === null ? [] : [error]));
    expect(errors.map(({ type }) => type)).toEqual(errors.map(() => 'MachineFailed'));
    expect(errors.map(({ message }) => message)).toEqual(errors.map(() => expect.stringContaining('no space')));
    expect(code).toBe(errors.length === 0 ? 0 : 3);
    for (const name of ['copied', 'rebuilt']) {
      const { targets } = report.policies.find((policy) => policy.name.endsWith(name)) ?? { targets: [] };
      const done = targets.flatMap(({ variants }) => variants).flatMap(({ operations }) => operations);
      const shown = done.filter(({ applied }) => applied).map(({ out_digest }) => out_digest);
      const tags = await regctl.tags(at(`demo-${program}/${name}`)).catch(() => []);
      const placed = tags.filter((tag) => !tag.startsWith('sha256-'));
      expect(await Promise.all(placed.map((tag) => regctl.digest(at(`demo-${program}/${name}:${tag}`))))).toEqual(
        shown,
      );
    }
    const work = join(disk, 'work');
    const left = leftIn(work).flatMap((worker) => leftIn(join(work, worker)));
    expect(left.filter((name) => PROGRAMS.some((each) => name.startsWith(`${each}-`)))).toEqual([]);

    await world.reconcile(dir);
    for (const name of ['copied', 'rebuilt']) {
      const image = `${world.proxy.host}/demo-${program}/${name}:1.0.0`;
      const { stdout, stderr } = await houba.run('verify', image, '--require', 'stamp,sbom,signature');
      expect(stdout, stderr).toContain('PASSED');
    }
  });
});
