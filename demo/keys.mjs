// What the demo signs with, and what it puts into images: a throw-away key and a throw-away certificate authority.
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DemoError } from './processes.mjs';

/** Names in tools/system.mjs. */
export const needsOfKeys = ['openssl'];

/** Where they lie in the demo's folder. */
export function keysIn(folder) {
  const prefix = join(folder, 'signing');
  return {
    prefix,
    private: `${prefix}.key`,
    public: `${prefix}.pub`,
    passwordFile: `${prefix}.password`,
    ca: join(folder, 'ca.pem'),
  };
}

/** What signing needs to know; empty before the keys are made. */
export function signingPassword({ passwordFile }) {
  return existsSync(passwordFile) ? { COSIGN_PASSWORD: readFileSync(passwordFile, 'utf8') } : {};
}

/**
 * Makes what is not there yet.
 * @param cosign path of the program
 */
export function makeKeys(keys, cosign) {
  // The public key is the last thing that cosign writes.
  if (!existsSync(keys.public)) {
    rmSync(keys.private, { force: true });
    writeFileSync(keys.passwordFile, randomBytes(24).toString('base64url'), { mode: 0o600 });
    run(cosign, ['generate-key-pair', `--output-key-prefix=${keys.prefix}`], signingPassword(keys));
  }
  if (!existsSync(keys.ca)) {
    const key = `${keys.ca}.key`;
    const algorithm = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    const subject = ['-subj', '/O=houba demo/CN=Throw-away demo CA', '-days', '30'];
    run('openssl', ['req', '-x509', ...algorithm, ...subject, '-keyout', key, '-out', keys.ca]);
    // Nothing is ever signed with it: images only have to trust the certificate.
    rmSync(key);
  }
}

function run(program, args, more = {}) {
  const { status, stderr } = spawnSync(program, args, { env: { ...process.env, ...more }, encoding: 'utf8' });
  if (status !== 0) throw new DemoError(`${program} ${args[0]} failed: ${stderr?.trim()}`);
}
