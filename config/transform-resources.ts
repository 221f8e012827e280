import { readFileSync } from 'node:fs';
import { HoubaError } from '../domain/errors.js';
import { nearest } from '../domain/text/nearest.js';
import type { TransformResources } from '../domain/transform/step.js';
import type { Settings } from './settings.js';
import { VARIABLES } from './variables.js';

/**
 * Finds CA certificates and package mirrors by name. Files are read each time: a replaced certificate makes a new
 * transform. @throws HoubaError `ConfigInvalid` when called for an unknown name or an unreadable file
 */
export function openTransformResources(settings: Pick<Settings, 'caCerts' | 'packageMirrors'>): TransformResources {
  return {
    caCert(name) {
      const source = find(settings.caCerts, name, VARIABLES.caCerts.name);
      return 'pem' in source ? source.pem : readText(source.path, name);
    },
    packageMirror: (name) => find(settings.packageMirrors, name, VARIABLES.packageMirrors.name),
  };
}

function find<Entry>(entries: Readonly<Record<string, Entry>>, name: string, variable: string): Entry {
  const entry = Object.hasOwn(entries, name) ? entries[name] : undefined;
  if (entry !== undefined) return entry;
  const known = Object.keys(entries);
  const meant = nearest(name, known);
  throw new HoubaError(
    'ConfigInvalid',
    `${variable} has no ${JSON.stringify(name)}; it has: ${known.join(', ') || 'none'}`,
    {
      hint: meant === null ? 'add it, or correct the policy' : `did you mean ${meant}?`,
    },
  );
}

function readText(path: string, name: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? 'unknown reason';
    throw new HoubaError('ConfigInvalid', `${VARIABLES.caCerts.name}: ${name}: ${path} cannot be read (${reason})`, {
      hint: 'the worker that plans and the one that builds both need the file',
    });
  }
}
