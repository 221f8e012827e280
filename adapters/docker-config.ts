import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { HoubaError } from '../domain/errors.js';
import { jsonOrNull } from '../domain/text/json.js';
import { optional } from '../domain/text/optional.js';
import { runCommand } from './command.js';

export type Credentials = BasicCredentials | IdentityToken;

interface BasicCredentials {
  readonly username: string;
  readonly password: string;
}

/** A refresh token, exchanged for access tokens at the registry's token service. */
interface IdentityToken {
  readonly identityToken: string;
}

export interface AmbientOptions {
  /** The folder of Docker's `config.json` (`DOCKER_CONFIG`, else `~/.docker`). */
  readonly dockerConfigDir: string | null;
  /** Containers `auth.json` files, read after Docker's in this order; missing ones are skipped. */
  readonly authFiles?: readonly string[];
  /** The environment of credential helpers (without `HOUBA_*`) and of proxies. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Finds a `docker-credential-*` program; null: not installed. */
  readonly findProgram: (name: string) => string | null;
}

/**
 * Finds credentials in Docker's and the containers files: the host's helper, the general store, the file itself.
 * @throws HoubaError `ConfigInvalid`, `ToolMissing`, `ToolFailed`
 */
export async function ambientCredentials(host: string, options: AmbientOptions): Promise<Credentials | null> {
  const files = options.dockerConfigDir === null ? [] : [join(options.dockerConfigDir, 'config.json')];
  for (const path of [...files, ...(options.authFiles ?? [])]) {
    const file = await readAuthFile(path);
    if (file === null) continue;
    const helper = valueFor(file.credHelpers, host) ?? file.credsStore;
    const found = helper === undefined || helper === '' ? null : await askHelper(helper, host, options);
    if (found !== null) return found;
    const written = valueFor(file.auths, host);
    const read = written === undefined ? null : readAuth(written, host, path);
    if (read !== null) return read;
  }
  return null;
}

/** The name of Docker Hub in Docker's files and credential helpers. */
const DOCKER_HUB_KEY = 'https://index.docker.io/v1/';
const DOCKER_HUB_HOSTS: ReadonlySet<string> = new Set(['docker.io', 'index.docker.io', 'registry-1.docker.io']);

const HELPER_TIMEOUT_MS = 30_000;

const Auth = z.object({
  auth: optional(z.string()),
  username: optional(z.string()),
  password: optional(z.string()),
  identitytoken: optional(z.string()),
});
type Auth = z.infer<typeof Auth>;

const AuthFile = z.object({
  auths: optional(z.record(z.string(), optional(Auth))),
  credHelpers: optional(z.record(z.string(), optional(z.string()))),
  credsStore: optional(z.string()),
});
type AuthFile = z.infer<typeof AuthFile>;

/** Reads a credentials file; null: there is none. No error quotes its content. */
async function readAuthFile(path: string): Promise<AuthFile | null> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw new HoubaError('ConfigInvalid', `the credentials file ${path} cannot be read (${code})`);
  }
  if (text.trim() === '') return null;
  const parsed = AuthFile.safeParse(jsonOrNull(text));
  if (parsed.success) return parsed.data;
  throw new HoubaError('ConfigInvalid', `the credentials file ${path} is not a Docker config.json`, {
    hint: 'repair it, or name another folder in DOCKER_CONFIG',
  });
}

/** The entry of a host, whose key may carry a scheme and, from old clients, a path such as `/v1/`. */
function valueFor<Value>(entries: Readonly<Record<string, Value>> | undefined, host: string): Value | undefined {
  if (entries === undefined) return undefined;
  const wanted = DOCKER_HUB_HOSTS.has(host) ? DOCKER_HUB_HOSTS : new Set([host]);
  for (const [key, value] of Object.entries(entries)) {
    if (wanted.has(key.replace(/^https?:\/\//, '').replace(/\/(?:v[12]\/?)?$/, ''))) return value;
  }
  return undefined;
}

function readAuth(entry: Auth, host: string, path: string): Credentials | null {
  if (entry.identitytoken !== undefined && entry.identitytoken !== '') return { identityToken: entry.identitytoken };
  if (entry.auth !== undefined && entry.auth !== '') {
    const text = Buffer.from(entry.auth, 'base64').toString('utf8');
    const colon = text.indexOf(':');
    // Old clients pad the password with NULs.
    if (colon > 0) return { username: text.slice(0, colon), password: text.slice(colon + 1).replace(/\0+$/, '') };
    throw new HoubaError('ConfigInvalid', `the auth of ${host} in ${path} is not base64 of user:password`);
  }
  if (entry.username !== undefined && entry.password !== undefined && entry.username !== '') {
    return { username: entry.username, password: entry.password };
  }
  return null;
}

const HelperAnswer = z.object({ Username: z.string(), Secret: z.string() });

/** Runs `docker-credential-<helper>`; null: it has nothing for this host. */
async function askHelper(helper: string, host: string, options: AmbientOptions): Promise<Credentials | null> {
  const program = `docker-credential-${helper}`;
  // The name comes from a file and becomes part of a program's.
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(helper)) {
    throw new HoubaError('ConfigInvalid', `${JSON.stringify(helper.slice(0, 100))} is not a credential helper's name`);
  }
  const file = options.findProgram(program);
  if (file === null) {
    throw new HoubaError('ToolMissing', `${program} is not installed; the Docker configuration wants it for ${host}`, {
      hint: `put ${program} on PATH, or take it out of the Docker configuration`,
    });
  }
  let said = '';
  try {
    await runCommand({
      file,
      args: ['get'],
      input: DOCKER_HUB_HOSTS.has(host) ? DOCKER_HUB_KEY : host,
      env: helperEnvironment(options.environment),
      timeoutMs: HELPER_TIMEOUT_MS,
      onStdout: (chunk) => {
        said += chunk;
      },
    });
  } catch (error) {
    // The helper protocol reports this on standard output, with exit 1.
    if (said.includes('credentials not found')) return null;
    throw error;
  }
  const answer = HelperAnswer.safeParse(jsonOrNull(said));
  if (!answer.success) throw new HoubaError('ToolFailed', `${program} gave an answer for ${host} that is not usable`);
  const { Username, Secret } = answer.data;
  if (Secret === '') return null;
  return Username === '<token>' ? { identityToken: Secret } : { username: Username, password: Secret };
}

/** Leaves out `HOUBA_*`, which may hold passwords; cloud helpers need the cloud's variables. */
function helperEnvironment(environment: AmbientOptions['environment']): Record<string, string> {
  const child: Record<string, string> = {};
  for (const [name, value] of Object.entries(environment)) {
    if (value !== undefined && !name.startsWith('HOUBA_')) child[name] = value;
  }
  return child;
}
