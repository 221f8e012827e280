import { Client, Connection } from '@temporalio/client';
import { dataConverter } from '../config/connection.js';
import { readEnvironment } from '../config/environment.js';
import { loadSettings } from '../config/settings.js';
import { HoubaError } from '../domain/report/errors.js';
import { explainFailure } from './run-failure.js';

/** Where a Temporal is. */
export interface TemporalPlace {
  readonly address: string;
  readonly namespace: string;
  /** TLS, API key and metadata; left out for the embedded one. */
  readonly connection?: Parameters<typeof Connection.connect>[0] | null;
}

const CONNECT_WITHIN_MS = 5_000;

/** @throws TemporalUnreachable */
export async function connectTo({ address, namespace, connection }: TemporalPlace): Promise<Client> {
  try {
    const open = await Connection.connect({ connectTimeout: CONNECT_WITHIN_MS, ...connection, address });
    return new Client({ connection: open, namespace, dataConverter });
  } catch (error) {
    throw explainFailure(error, `Temporal at ${address}`);
  }
}

/**
 * Connects to the Temporal that the environment names.
 * @throws HoubaError `ConfigInvalid` when it names none
 * @throws TemporalUnreachable
 */
export async function connectClient(wanted: { address?: string; namespace?: string }): Promise<Client> {
  const { temporal } = loadSettings(readEnvironment()).settings;
  const address = wanted.address ?? temporal.address;
  if (address === null) {
    throw new HoubaError('ConfigInvalid', 'no Temporal to connect to', {
      hint: 'set TEMPORAL_ADDRESS, or give the address that `houba up` prints',
    });
  }
  // Credentials of the environment belong to its own address only (conventions S6).
  const connection = address === temporal.address ? temporal.connection : null;
  return await connectTo({ address, namespace: wanted.namespace ?? temporal.namespace, connection });
}
