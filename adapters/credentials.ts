import { type RosterEntry, rosterByHost } from '../domain/roster.js';
import { type AmbientOptions, ambientCredentials, type Credentials } from './docker-config.js';

export type { Credentials } from './docker-config.js';

/** A roster entry with its credentials and CA. Never leaves the process. */
export interface RegistryAccess extends RosterEntry {
  /** Set with `password`, or not at all. */
  readonly username: string | null;
  readonly password: string | null;
  /** PEM file of the registry's own CA, trusted beside the well-known ones. */
  readonly caCert: string | null;
}

export interface CredentialSource {
  /**
   * Finds a host's credentials (docs/rules/registry-access.md#logins-are-found-as-docker-finds-them); null: anonymous.
   * @throws HoubaError `ConfigInvalid` (a file cannot be read), `ToolMissing`, `ToolFailed` (a credential helper)
   */
  credentialsFor(host: string): Promise<Credentials | null>;
}

export interface CredentialOptions extends AmbientOptions {
  readonly access: ReadonlyMap<string, RegistryAccess>;
  /** Milliseconds on a clock that never jumps. */
  readonly elapsed?: () => number;
}

/** Helpers take tenths of a second, and their answers (ECR: 12 h) live longer than this. */
const KEPT_MS = 5 * 60_000;

export function createCredentialSource(options: CredentialOptions): CredentialSource {
  const elapsed = options.elapsed ?? (() => performance.now());
  const asked = new Map<string, { readonly answer: Promise<Credentials | null>; readonly until: number }>();

  async function credentialsFor(host: string): Promise<Credentials | null> {
    const entry = rosterByHost(options.access, host);
    if (entry?.username != null && entry.password !== null) {
      return { username: entry.username, password: entry.password };
    }
    const known = asked.get(host);
    if (known !== undefined && elapsed() < known.until) return known.answer;
    const answer = ambientCredentials(host, options);
    asked.set(host, { answer, until: elapsed() + KEPT_MS });
    answer.catch(() => asked.delete(host));
    return answer;
  }

  return { credentialsFor };
}
