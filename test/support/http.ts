import http from 'node:http';
import https from 'node:https';

export interface HttpAnswer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface HttpRequest {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** PEM: a CA of our own. */
  readonly ca?: string;
}

/** One request; whatever status comes back is an answer. Connections are kept: watchers ask a lot. */
export function request(url: string | URL, options: HttpRequest = {}): Promise<HttpAnswer> {
  const target = new URL(url);
  const secure = target.protocol === 'https:';
  return new Promise((resolve, reject) => {
    const outgoing = (secure ? https : http).request(
      target,
      {
        method: options.method ?? 'GET',
        headers: { 'content-length': options.body?.length ?? 0, ...options.headers },
        agent: secure ? tlsAgent : agent,
        ...(options.ca === undefined ? {} : { ca: options.ca }),
      },
      (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
        incoming.on('error', reject);
        incoming.on('end', () =>
          resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: Buffer.concat(chunks) }),
        );
      },
    );
    outgoing.on('error', reject);
    outgoing.end(options.body);
  });
}

const agent = new http.Agent({ keepAlive: true });
const tlsAgent = new https.Agent({ keepAlive: true });
