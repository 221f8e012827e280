import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  interface ProvidedContext {
    /** The path of a `bin/houba` whose syft writes an empty inventory at once. */
    houbaWithInstantSyft: string;
  }
}

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Follows global-setup.ts, which has made the build. @returns the teardown */
export default function setup(project: TestProject): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'houba-package-'));
  project.provide('houbaWithInstantSyft', installWithInstantSyft(folder));
  return () => rmSync(folder, { recursive: true, force: true });
}

/**
 * Installs the built package once more, with the same programs but for syft: that takes more than a second of a
 * processor for each image, however small, and most tests look into no inventory.
 */
function installWithInstantSyft(folder: string): string {
  for (const name of ['bin', 'package.json', 'tools/programs.json', 'docs'])
    cpSync(join(ROOT, name), join(folder, name), { recursive: true });
  for (const name of ['fast', 'workflow-bundle.js'])
    cpSync(join(ROOT, 'dist', name), join(folder, 'dist', name), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  const programs = join(folder, '.tools', 'bin');
  mkdirSync(programs, { recursive: true });
  const real = join(ROOT, '.tools', 'bin');
  for (const name of readdirSync(real).filter((each) => each !== 'syft'))
    symlinkSync(join(real, name), join(programs, name));
  const { syft } = JSON.parse(readFileSync(join(ROOT, 'tools', 'programs.json'), 'utf8'));
  writeFileSync(join(programs, 'syft'), instantSyft(syft.version));
  chmodSync(join(programs, 'syft'), 0o755);
  return join(folder, 'bin', 'houba');
}

/** A program that is called as syft is, and finds nothing. */
function instantSyft(version: string): string {
  const spdx = {
    ...{ spdxVersion: 'SPDX-2.3', dataLicense: 'CC0-1.0', SPDXID: 'SPDXRef-DOCUMENT', name: 'nothing' },
    documentNamespace: 'https://houba.example/nothing',
    creationInfo: { created: '2026-01-01T00:00:00Z', creators: [`Tool: syft-${version}`] },
    packages: [],
  };
  const cyclonedx = { bomFormat: 'CycloneDX', specVersion: '1.6', version: 1, components: [] };
  return `#!/bin/sh
case "$1" in
  --version) echo "syft ${version}" ;;
  version) echo '{"version":"${version}"}' ;;
esac
for each; do
  case "$each" in
    spdx-json=*) echo '${JSON.stringify(spdx)}' > "\${each#*=}" ;;
    cyclonedx-json=*) echo '${JSON.stringify(cyclonedx)}' > "\${each#*=}" ;;
  esac
done
`;
}
