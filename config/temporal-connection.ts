import { type ClientConnectConfig, loadClientConnectConfig } from '@temporalio/envconfig';
import type { Environment } from './environment.js';

export interface TemporalSettings {
  /** `host:port`; null: none is configured, so that the stack runs embedded. */
  readonly address: string | null;
  readonly namespace: string;
  /** For `Connection.connect` and `NativeConnection.connect`: TLS, API key, metadata. Null when embedded. */
  readonly connection: ClientConnectConfig['connectionOptions'] | null;
}

/** Reads `TEMPORAL_*` and the profile of `temporal.toml`, when either is named. @param problems gets what is wrong */
export function loadTemporal(environment: Environment, problems: string[]): TemporalSettings {
  const embedded: TemporalSettings = { address: null, namespace: 'default', connection: null };
  if (!environment.TEMPORAL_ADDRESS && !environment.TEMPORAL_PROFILE) return embedded;

  const set: Record<string, string> = {};
  for (const [name, value] of Object.entries(environment)) if (value !== undefined && value !== '') set[name] = value;
  let config: ClientConnectConfig;
  try {
    config = loadClientConnectConfig({ overrideEnvVars: set });
  } catch (error) {
    problems.push(`TEMPORAL_PROFILE: ${error instanceof Error ? error.message : String(error)}`);
    return embedded;
  }
  const address = config.connectionOptions.address ?? 'localhost:7233';
  const { tls } = config.connectionOptions;
  const encrypted = tls !== undefined && tls !== null && tls !== false;
  if (!encrypted && !isLoopback(address)) {
    if (tls !== false) {
      problems.push(
        `TEMPORAL_TLS: ${address} is not on this machine and would be reached in plain text; ` +
          'set TEMPORAL_TLS=true, or TEMPORAL_TLS=false to allow it',
      );
    } else if (config.connectionOptions.apiKey !== undefined) {
      problems.push('TEMPORAL_API_KEY: is not sent in plain text; set TEMPORAL_TLS=true');
    }
  }
  return {
    address,
    namespace: config.namespace ?? 'default',
    connection: { ...config.connectionOptions, address },
  };
}

/** Whether `host:port` is on this machine. */
export function isLoopback(address: string): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i.test(address);
}
