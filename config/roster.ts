import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { z } from 'zod';
import { HoubaError } from '../domain/errors.js';
import { parseRepository } from '../domain/reference.js';
import type { RosterEntry } from '../domain/roster.js';
import { strictObject } from './schemas.js';

/** A roster entry with its credentials and CA. Never leaves the process. */
export interface RegistryAccess extends RosterEntry {
  readonly username: string | null;
  readonly password: string | null;
  /** Absolute path of a PEM file with the registry's own CA. */
  readonly caCert: string | null;
}

const Entry = strictObject({
  host: z.string(),
  username: z.string().min(1).nullish(),
  password: z.string().min(1).nullish(),
  tls_verify: z.boolean().default(true),
  ca_cert: z.string().min(1).nullish(),
  deletion_mode: z.enum(['purge', 'mark']).nullish(),
  source_only: z.boolean().default(false),
});

/** Parses `HOUBA_REGISTRIES`, roster name to entry. CA files are checked here, so that a missing one shows at start. */
export const Roster = z.record(z.string().min(1), z.unknown()).transform((written, context) => {
  const roster = new Map<string, RegistryAccess>();
  for (const [name, value] of Object.entries(written)) {
    const parsed = Entry.safeParse(value);
    if (!parsed.success) {
      for (const issue of parsed.error.issues) {
        context.addIssue({ code: 'custom', path: [name, ...issue.path], message: issue.message });
      }
      continue;
    }
    const entry = parsed.data;
    const refuse = (key: string, message: string) => context.addIssue({ code: 'custom', path: [name, key], message });
    const place = splitHost(entry.host);
    if (place === null) {
      refuse('host', 'must be host[:port][/namespace], without scheme, outer slash, empty segment or spaces');
      continue;
    }
    if ((entry.username == null) !== (entry.password == null)) {
      refuse(
        entry.username == null ? 'username' : 'password',
        'username and password go together: give both or neither',
      );
    }
    if (entry.ca_cert != null && !entry.tls_verify) {
      refuse('ca_cert', 'has no use with tls_verify false, which means plain HTTP');
    }
    if (entry.source_only && entry.deletion_mode != null) {
      refuse('deletion_mode', 'has no use with source_only, under which nothing is deleted');
    }
    roster.set(name, {
      name,
      ...place,
      tlsVerify: entry.tls_verify,
      deletionMode: entry.deletion_mode ?? null,
      sourceOnly: entry.source_only,
      username: entry.username ?? null,
      password: entry.password ?? null,
      caCert: entry.ca_cert == null ? null : checkedPem(entry.ca_cert, (message) => refuse('ca_cert', message)),
    });
  }
  return roster as ReadonlyMap<string, RegistryAccess>;
});

/** Splits `ghcr.io/acme` into the host `ghcr.io` and the namespace `acme`. */
function splitHost(text: string): { host: string; namespace: string | null } | null {
  const slash = text.indexOf('/');
  const host = slash < 0 ? text : text.slice(0, slash);
  const namespace = slash < 0 ? null : text.slice(slash + 1);
  try {
    parseRepository(host, `${namespace ?? 'any'}/name`);
  } catch (error) {
    if (error instanceof HoubaError) return null;
    throw error;
  }
  return { host, namespace };
}

function checkedPem(path: string, refuse: (message: string) => void): string {
  try {
    if (!readFileSync(path, 'utf8').includes('-----BEGIN CERTIFICATE-----')) {
      refuse(`${path} holds no certificate in PEM form`);
    }
  } catch (error) {
    refuse(`${path} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  return resolve(path);
}
