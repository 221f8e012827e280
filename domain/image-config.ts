import { HoubaError } from './errors.js';
import { asObject, jsonOrNull } from './text/json.js';
import { foldName, repeatedName } from './text/json-names.js';

/**
 * Parses an image configuration; null: it is no JSON object.
 * @throws HoubaError `Unsupported` when it is ambiguous (docs/rules/registry-access.md#no-double-meaning)
 */
export function parseConfig(bytes: Uint8Array): Readonly<Record<string, unknown>> | null {
  const json = new TextDecoder().decode(bytes);
  const value = jsonOrNull(json);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
  const config = asObject(value);
  const name = repeatedName(json) ?? twinIn(config);
  if (name === null) return config;
  const said = JSON.stringify(name.slice(0, 200));
  throw new HoubaError('Unsupported', `unusable configuration: it has ${said} twice, which programs read differently`);
}

/** Finds a key with two spellings in the parts that Go reads case-insensitively; labels are not among them. */
function twinIn(config: Readonly<Record<string, unknown>>): string | null {
  const history = Array.isArray(config.history) ? config.history : [];
  for (const part of [config, config.config, config.rootfs, ...history]) {
    const seen = new Set<string>();
    for (const name of Object.keys(asObject(part))) {
      if (seen.has(foldName(name))) return name;
      seen.add(foldName(name));
    }
  }
  return null;
}
