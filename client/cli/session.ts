import type { Settings } from '../../config/settings.js';
import { connectTo } from '../connect.js';
import { HoubaClient } from '../sdk.js';
import { joinOrStart, runningStack, type StackOptions } from '../stack/embedded.js';
import { TemporalUnreachable } from '../unreachable.js';

/** The connection of a command to Temporal: the cluster that the settings name, else the embedded one. */
export interface Session {
  readonly client: HoubaClient;
  /** The worker is in this process: what is not finished when it ends goes on with the next command. */
  readonly owned: boolean;
  /** A worker serves this Temporal on this machine. */
  readonly embedded: boolean;
  readonly broken: Promise<never>;
  /** The address of a run's page; null where no address of the UI is known. */
  pageOf(workflowId: string): string | null;
  close(): Promise<void>;
}

/** Opens a session for work: where nothing runs, an embedded stack is started. */
export async function openSession(options: StackOptions): Promise<Session> {
  const { temporal } = options.settings;
  if (temporal.address !== null) return await clusterSession({ ...temporal, address: temporal.address });
  const stack = await joinOrStart(options);
  try {
    const client = await connectTo(stack);
    const { owned, broken, ui, namespace } = stack;
    const houba = new HoubaClient(client, () => client.connection.close());
    return {
      client: houba,
      owned,
      embedded: true,
      broken,
      pageOf: pageIn(ui, namespace),
      close: async () => {
        await houba.close();
        await stack.leave();
      },
    };
  } catch (error) {
    await stack.leave();
    throw error;
  }
}

/**
 * Opens a session to look at runs: it starts nothing.
 * @throws TemporalUnreachable when no address is set and no stack is up
 */
export async function lookIn(settings: Settings): Promise<Session> {
  const { temporal, home } = settings;
  if (temporal.address !== null) return await clusterSession({ ...temporal, address: temporal.address });
  const stack = runningStack(home);
  if (stack === null) {
    throw new TemporalUnreachable(`no stack is up in ${home}`, {
      hint: 'start one with `houba up`, or set TEMPORAL_ADDRESS to a cluster',
    });
  }
  const session = await clusterSession(stack);
  return { ...session, embedded: true, pageOf: pageIn(stack.ui, stack.namespace) };
}

/**
 * Opens a session to talk to what waits: it joins whatever runs, with no question about its settings, and starts a stack
 * only where none is up.
 */
export async function attend(options: StackOptions): Promise<Session> {
  const { temporal, home } = options.settings;
  const isUp = temporal.address !== null || runningStack(home) !== null;
  return isUp ? await lookIn(options.settings) : await openSession(options);
}

async function clusterSession(place: Parameters<typeof connectTo>[0]): Promise<Session> {
  const client = await connectTo(place);
  const houba = new HoubaClient(client, () => client.connection.close());
  return {
    client: houba,
    owned: false,
    embedded: false,
    broken: new Promise<never>(() => {}),
    pageOf: () => null,
    close: () => houba.close(),
  };
}

function pageIn(ui: string, namespace: string): (workflowId: string) => string {
  return (workflowId) => `${ui}/namespaces/${namespace}/workflows/${encodeURIComponent(workflowId)}`;
}
