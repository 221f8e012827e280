import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { timed } from './measure.mjs';

/** Writes a configuration of regsync that copies each repository to the same path of another registry. */
export function writeRegsyncConfig(folder, from, to, repositories) {
  const config = {
    version: 1,
    creds: [
      { registry: from, tls: 'disabled' },
      { registry: to, tls: 'disabled' },
    ],
    defaults: { parallel: 8, skipDockerConfig: true },
    sync: repositories.map((path) => ({ source: `${from}/${path}`, target: `${to}/${path}`, type: 'repository' })),
  };
  const file = join(folder, `regsync-${to.replace(':', '-')}-${repositories.length}.yaml`);
  writeFileSync(file, JSON.stringify(config));
  return file;
}

export function regsyncOnce(program, config) {
  return timed(program, ['once', '--config', config, '--verbosity', 'error']);
}

/** Copies repositories of one project; skopeo puts them under `to`/`project` by their last part. */
export function skopeoSync(program, folder, from, to, repositories) {
  const images = Object.fromEntries(repositories.map((path) => [path, []]));
  const file = join(folder, `skopeo-${repositories.length}.yaml`);
  writeFileSync(file, JSON.stringify({ [from]: { 'tls-verify': false, images } }));
  const project = repositories[0].split('/')[0];
  const args = ['sync', '--src', 'yaml', '--dest', 'docker', '--dest-tls-verify=false', file, `${to}/${project}`];
  return timed(program, args);
}

/** What a bare run of syft on an image takes; its defaults, but for plain HTTP and the search for updates. */
export function bareSyft(program, reference) {
  const environment = { SYFT_REGISTRY_INSECURE_USE_HTTP: 'true', SYFT_CHECK_FOR_APP_UPDATE: 'false' };
  return timed(program, ['scan', `registry:${reference}`, '-q', '-o', 'spdx-json'], environment);
}
