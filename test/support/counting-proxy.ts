import http from 'node:http';
import type { AddressInfo } from 'node:net';

/** Stands between houba and a registry: counts what passes, and lets a test answer in the registry's place. */
export interface CountingProxy {
  /** `127.0.0.1:<port>`, to be used as the registry's host. */
  readonly host: string;
  readonly requests: readonly { readonly method: string; readonly path: string }[];
  /** Requests that change something: neither GET nor HEAD. */
  writes(): string[];
  /** Forgets what was counted. */
  reset(): void;
  /** Asked before each request is passed on; an answer is given in the registry's place. */
  intercept: ((request: Intercepted) => Answer | null | Promise<Answer | null>) | null;
  stop(): Promise<void>;
}

export interface Intercepted {
  readonly method: string;
  readonly path: string;
  readonly headers: http.IncomingHttpHeaders;
}

export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

/** @param target `host:port` of a registry that speaks plain HTTP */
export async function startCountingProxy(target: string): Promise<CountingProxy> {
  const [hostname, port] = target.split(':');
  const agent = new http.Agent({ keepAlive: true });
  let requests: { method: string; path: string }[] = [];
  const server = http.createServer(async (incoming, outgoing) => {
    const { method = '', url = '', headers } = incoming;
    requests.push({ method, path: url });
    const answer = (await proxy.intercept?.({ method, path: url, headers })) ?? null;
    if (answer !== null) {
      incoming.resume();
      const body = Buffer.from(answer.body ?? '');
      outgoing.writeHead(answer.status, { 'content-length': body.length, ...answer.headers });
      outgoing.end(method === 'HEAD' ? undefined : body);
      return;
    }
    // The host is left as it was sent, so that the registry's Location leads back through here.
    const passed = http.request({ hostname, port, method, path: url, headers, agent }, (reply) => {
      outgoing.writeHead(reply.statusCode ?? 502, reply.headers);
      reply.pipe(outgoing);
    });
    passed.on('error', () => outgoing.destroy());
    incoming.pipe(passed);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const proxy: CountingProxy = {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    get requests() {
      return requests;
    },
    writes: () =>
      requests
        .filter(({ method }) => method !== 'GET' && method !== 'HEAD')
        .map(({ method, path }) => `${method} ${path}`),
    reset: () => {
      requests = [];
    },
    intercept: null,
    stop: () =>
      new Promise((resolve) => {
        agent.destroy();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return proxy;
}
