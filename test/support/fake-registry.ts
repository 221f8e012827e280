import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';

/** A scriptable registry on a free loopback port: it says what a test wants and remembers what it was asked. */
export interface FakeRegistry {
  /** `127.0.0.1:<port>`. */
  readonly host: string;
  /** `http://127.0.0.1:<port>`, or https. */
  readonly url: string;
  readonly requests: readonly FakeRequest[];
  /**
   * Answers `METHOD /path?query`, or `METHOD /path` whatever the query. Several replies are given one after the other, the last
   * from then on. Anything unscripted is a 404 without a body.
   */
  on(request: string, ...replies: FakeAnswer[]): void;
  /** Shows another certificate to those who connect from now on. */
  useCertificate(tls: { readonly key: string; readonly cert: string }): void;
  /** How often `METHOD /path?query`, or `METHOD /path`, was asked. */
  count(request: string): number;
  stop(): Promise<void>;
}

export interface FakeRequest {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

export interface FakeReply {
  /** Default 200. */
  readonly status?: number;
  readonly headers?: Readonly<http.OutgoingHttpHeaders>;
  readonly body?: string | Uint8Array;
  /** Cut the connection: before the headers, or in the middle of the body. */
  readonly cut?: 'headers' | 'body';
  /** Never answer. */
  readonly silent?: boolean;
}

export type FakeAnswer = FakeReply | ((request: FakeRequest) => FakeReply);

export async function startFakeRegistry(tls?: { readonly key: string; readonly cert: string }): Promise<FakeRegistry> {
  const scripts = new Map<string, FakeAnswer[]>();
  const requests: FakeRequest[] = [];

  const listener: http.RequestListener = (incoming, outgoing) => {
    const chunks: Uint8Array[] = [];
    incoming.on('data', (chunk: Uint8Array) => chunks.push(chunk));
    incoming.on('end', () => {
      const { method = '', url = '', headers } = incoming;
      const request = { method, path: url, headers, body: Buffer.concat(chunks).toString('utf8') };
      requests.push(request);
      const script = scripts.get(`${method} ${url}`) ?? scripts.get(`${method} ${url.split('?')[0]}`) ?? [];
      const answer = (script.length > 1 ? script.shift() : script[0]) ?? { status: 404 };
      send(typeof answer === 'function' ? answer(request) : answer, method, outgoing);
    });
  };
  const server = tls === undefined ? http.createServer(listener) : https.createServer(tls, listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;

  return {
    host,
    url: `${tls === undefined ? 'http' : 'https'}://${host}`,
    requests,
    on: (request, ...replies) => {
      scripts.set(request, replies);
    },
    useCertificate: ({ key, cert }) => {
      if (server instanceof https.Server) server.setSecureContext({ key, cert });
    },
    count: (wanted) =>
      requests.filter(({ method, path }) => [path, path.split('?')[0]].some((each) => `${method} ${each}` === wanted))
        .length,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function send(reply: FakeReply, method: string, outgoing: http.ServerResponse): void {
  if (reply.silent === true) return;
  if (reply.cut === 'headers') {
    outgoing.socket?.destroy();
    return;
  }
  const body = typeof reply.body === 'string' ? Buffer.from(reply.body) : (reply.body ?? Buffer.alloc(0));
  const headers = Object.entries({ 'content-length': body.length, ...reply.headers });
  outgoing.writeHead(
    reply.status ?? 200,
    Object.fromEntries(headers.filter(([, value]) => value !== undefined)) as http.OutgoingHttpHeaders,
  );
  if (reply.cut === 'body') {
    outgoing.write(body.subarray(0, body.length / 2), () => outgoing.socket?.destroy());
    return;
  }
  outgoing.end(method === 'HEAD' ? undefined : body);
}
