import {
  Client,
  Connection,
  type ConnectionOptions,
  defaultGrpcRetryOptions,
  makeGrpcRetryInterceptor,
} from '@temporalio/client';
import { readEnvironment } from '../config/environment.js';
import { dataConverter } from '../config/payload-codec.js';
import { loadSettings } from '../config/settings.js';
import { isLoopback } from '../config/temporal-connection.js';
import { HoubaError } from '../domain/errors.js';
import { explainFailure } from './run-failure.js';

/** The address of a Temporal namespace. */
interface TemporalPlace {
  readonly address: string;
  readonly namespace: string;
  /** TLS, API key and metadata; left out for the embedded server. */
  readonly connection?: ConnectionOptions | null;
}

const CONNECT_WITHIN_MS = 5_000;

/** Opens a connection. @throws TemporalUnreachable */
export async function connectTo({ address, namespace, connection }: TemporalPlace): Promise<Client> {
  const gate = createGate();
  try {
    const open = await Connection.connect({
      connectTimeout: CONNECT_WITHIN_MS,
      ...connection,
      address,
      channelArgs: { ...connection?.channelArgs, ...channelTo(address) },
      interceptors: [makeGrpcRetryInterceptor(defaultGrpcRetryOptions()), gate.interceptor],
    });
    const close = open.close.bind(open);
    open.close = async () => {
      gate.shut();
      await close();
    };
    return new Client({ connection: open, namespace, dataConverter });
  } catch (error) {
    throw explainFailure(error, `Temporal at ${address}`);
  }
}

/** Keeps a connection to this machine off any proxy: gRPC would ask the proxy of the environment. */
function channelTo(address: string): ConnectionOptions['channelArgs'] {
  return isLoopback(address) ? { 'grpc.enable_http_proxy': 0 } : {};
}

/**
 * Connects to the Temporal of the environment. @throws HoubaError `ConfigInvalid` when it names none;
 * TemporalUnreachable
 */
export async function connectClient(wanted: { address?: string; namespace?: string }): Promise<Client> {
  const { temporal } = loadSettings(readEnvironment()).settings;
  const address = wanted.address ?? temporal.address;
  if (address === null) {
    throw new HoubaError('ConfigInvalid', 'no Temporal to connect to', {
      hint: 'set TEMPORAL_ADDRESS, or give the address that `houba up` prints',
    });
  }
  // The environment's credentials go to its own address only.
  const connection = address === temporal.address ? temporal.connection : null;
  return await connectTo({ address, namespace: wanted.namespace ?? temporal.namespace, connection });
}

type Interceptor = NonNullable<ConnectionOptions['interceptors']>[number];
type Call = ReturnType<Interceptor>;

const CANCELLED = 1;

/**
 * Answers calls on a closed connection: the SDK (1.24) makes a pending retry on the closed channel all the same, from a
 * timer, and the error ends the process.
 */
function createGate(): { readonly interceptor: Interceptor; shut(): void } {
  let isShut = false;
  return {
    interceptor: (options, nextCall) => (isShut ? refusedCall() : (nextCall(options) as Call)),
    shut: () => {
      isShut = true;
    },
  };
}

function refusedCall(): Call {
  const call: Pick<Call, 'start' | 'sendMessage' | 'halfClose' | 'cancelWithStatus'> = {
    start: (metadata, listener) => {
      const status = { code: CANCELLED, details: 'the connection was closed', metadata };
      queueMicrotask(() => {
        listener?.onReceiveMessage?.(null); // as a real call that fails does: the retries rely on it
        listener?.onReceiveStatus?.(status);
      });
    },
    sendMessage: () => {},
    halfClose: () => {},
    cancelWithStatus: () => {},
  };
  return call as Call;
}
