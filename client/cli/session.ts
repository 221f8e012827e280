import type { Settings } from '../../config/settings.js';
import { connectTo } from '../connect.js';
import { HoubaClient } from '../sdk.js';
import { joinOrStart, runningStack, type StackOptions } from '../stack/embedded.js';
import { TemporalUnreachable } from '../unreachable.js';

/** A command's connection to Temporal: the cluster of the settings, else the embedded server. */
export interface Session {
  readonly client: HoubaClient;
  /** Whether the worker is in this process; unfinished runs then go on with the next command. */
  readonly owned: boolean;
  /** Whether a worker serves this Temporal on this machine. */
  readonly embedded: boolean;
  readonly broken: Promise<never>;
  /** The address of a run in Temporal's UI; null: not known. */
  pageOf(workflowId: string): string | null;
  close(): Promise<void>;
}

/** Opens a session for work; starts an embedded stack where none is up. */
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

/** Opens a session to look at runs; starts nothing. @throws TemporalUnreachable without an address and a stack */
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

/** Opens a session to talk to waits: joins any running stack, whatever its settings, else starts one. */
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
