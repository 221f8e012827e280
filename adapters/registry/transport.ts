import { lookup } from 'node:dns/promises';
import http from 'node:http';
import https from 'node:https';
import { isIP } from 'node:net';
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls';
import { brotliDecompressSync, gunzipSync, inflateSync } from 'node:zlib';
import { HttpsProxyAgent } from 'https-proxy-agent';
import { HoubaError, machineError } from '../../domain/errors.js';
import { publicLookup, refusePrivateLiteral } from './address.js';
import { proxyFor } from './proxy.js';

export interface Server {
  readonly secure: boolean;
  readonly hostname: string;
  readonly port: number;
}

/** A server with its pool of kept connections; one object for each scheme, host and port. */
export interface Origin extends Server {
  /** `https://host[:port]`, as `URL.origin` writes it. */
  readonly url: string;
  readonly agent: http.Agent;
  /** PEM of the registry's own CA; null: none. It may be renewed while houba runs. */
  ca: string | null;
  /** The CAs to trust; a context, because an agent compares options as text. */
  secureContext: SecureContext | undefined;
  readonly sent: Map<string, number>;
}

interface Request {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'DELETE';
  readonly path: string;
  readonly headers: http.OutgoingHttpHeaders;
  readonly body?: string | null;
  /** A longer body of a success is refused; of an error, cut. */
  readonly maxBytes: number;
}

export interface Reply {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Uint8Array;
  /** The body as it was sent, where that was compressed although nobody asked for it. */
  readonly sent?: Uint8Array;
}

interface Transport {
  /** Checks that the host may be connected to, without connecting. @throws HoubaError `Denied` */
  origin(server: Server): Promise<Origin>;
  /** @throws the signal's reason; HoubaError `RegistryUnavailable`, `Denied`, `Unsupported` (too large) */
  exchange(origin: Origin, request: Request, signal: AbortSignal | undefined): Promise<Reply>;
  requestCounts(): ReadonlyMap<string, number>;
  requestsUnder(signal: AbortSignal): number;
  close(): void;
}

export interface TransportOptions {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Trust in a roster host, which may be private and, if it says so, plain HTTP; null: any other host. */
  trusted(server: Server): Promise<{ readonly ca: string | null } | null>;
  readonly timeouts?: Partial<Timeouts>;
}

interface Timeouts {
  readonly connectMs: number;
  /** Until the headers, and between two pieces of the body. */
  readonly idleMs: number;
  readonly totalMs: number;
}

const TIMEOUTS: Timeouts = { connectMs: 10_000, idleMs: 30_000, totalMs: 300_000 };
const MAX_ERROR_BYTES = 16 * 1024;
const EMPTY = new Uint8Array(0);

interface Flight {
  readonly outgoing: http.ClientRequest;
  readonly started: number;
  lastHeard: number;
  fail(error: unknown): void;
}

interface SignalWatch {
  readonly flights: Set<Flight>;
  abort(): void;
}

export function createTransport(options: TransportOptions): Transport {
  const timeouts = { ...TIMEOUTS, ...options.timeouts };
  const origins = new Map<string, Promise<Origin>>();
  const opened: Origin[] = [];
  const flights = new Set<Flight>();
  const watches = new Map<AbortSignal, SignalWatch>();
  const sentUnder = new WeakMap<AbortSignal, number>();
  let watchdog: NodeJS.Timeout | undefined;

  function origin(server: Server): Promise<Origin> {
    const url = originUrl(server);
    const known = origins.get(url);
    if (known !== undefined) return known;
    const opening = open(server, url);
    origins.set(url, opening);
    opening.catch(() => origins.delete(url));
    return opening;
  }

  async function open(server: Server, url: string): Promise<Origin> {
    const trust = await options.trusted(server);
    if (trust === null) refusePrivateLiteral(server.hostname);
    const proxy = proxyFor(server, options.environment);
    if (proxy !== null && trust === null) await refusePrivateName(server.hostname);
    const keep = { keepAlive: true, keepAliveMsecs: 30_000, scheduling: 'lifo' as const };
    // The budget bounds the requests in flight.
    const direct = trust === null ? { ...keep, lookup: publicLookup } : keep;
    const agent =
      proxy !== null
        ? new HttpsProxyAgent(proxy, keep)
        : server.secure
          ? new https.Agent(direct)
          : new http.Agent(direct as http.AgentOptions);
    const ca = trust?.ca ?? null;
    const made: Origin = { ...server, url, agent, ca, secureContext: contextOf(ca), sent: new Map() };
    opened.push(made);
    return made;
  }

  /** Reads the CA again, which may have been replaced. */
  async function renewTrust(origin: Origin): Promise<void> {
    const ca = (await options.trusted(origin))?.ca ?? null;
    if (ca !== origin.ca) Object.assign(origin, { ca, secureContext: contextOf(ca) });
  }

  function exchange(origin: Origin, request: Request, signal: AbortSignal | undefined): Promise<Reply> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(signal.reason);
      origin.sent.set(request.method, (origin.sent.get(request.method) ?? 0) + 1);
      if (signal !== undefined) sentUnder.set(signal, (sentUnder.get(signal) ?? 0) + 1);
      const outgoing = (origin.secure ? https : http).request({
        protocol: origin.secure ? 'https:' : 'http:',
        host: origin.hostname,
        port: origin.port,
        method: request.method,
        path: request.path,
        headers: request.headers,
        agent: origin.agent,
        ...(origin.secure ? { rejectUnauthorized: true, secureContext: origin.secureContext } : {}),
      });
      const { ca } = origin;
      const started = performance.now();
      const flight: Flight = { outgoing, started, lastHeard: started, fail };
      takeOff(flight, signal);
      outgoing.on('error', (error: NodeJS.ErrnoException) => {
        if (ca === null || !UNTRUSTED.test(error.code ?? '')) return fail(connectionError(origin, error));
        renewTrust(origin).then(
          () => fail(origin.ca === ca ? connectionError(origin, error) : renewedTrust(origin)),
          fail,
        );
      });
      outgoing.on('response', (incoming) => {
        flight.lastHeard = performance.now();
        incoming.on('error', (error) => fail(connectionError(origin, error)));
        readBody(incoming, request, flight, (sent) => {
          land(flight, signal);
          const { headers, statusCode: status = 0 } = incoming;
          const body = decompress(sent, headers['content-encoding'], request.maxBytes);
          resolve({ status, headers, ...(body === null ? { body: sent } : { body, sent }) });
        });
      });
      outgoing.end(request.body ?? undefined);

      function fail(error: unknown): void {
        land(flight, signal);
        reject(error);
        outgoing.destroy();
      }
    });
  }

  function takeOff(flight: Flight, signal: AbortSignal | undefined): void {
    flights.add(flight);
    watchdog ??= setInterval(endSlow, Math.min(1000, timeouts.idleMs)).unref();
    if (signal === undefined) return;
    const watch = watches.get(signal);
    if (watch !== undefined) {
      watch.flights.add(flight);
      return;
    }
    // One listener for all requests of a signal.
    const together = new Set([flight]);
    const abort = () => {
      for (const each of together) each.fail(signal.reason);
    };
    watches.set(signal, { flights: together, abort });
    signal.addEventListener('abort', abort, { once: true });
  }

  function land(flight: Flight, signal: AbortSignal | undefined): void {
    flights.delete(flight);
    const watch = signal === undefined ? undefined : watches.get(signal);
    if (signal === undefined || watch === undefined) return;
    watch.flights.delete(flight);
    if (watch.flights.size > 0) return;
    watches.delete(signal);
    signal.removeEventListener('abort', watch.abort);
  }

  /** Fails slow requests, by one timer for all. */
  function endSlow(): void {
    const now = performance.now();
    for (const flight of flights) {
      const connecting = flight.outgoing.socket?.connecting ?? true;
      if (connecting && now - flight.started > timeouts.connectMs) flight.fail(tooSlow(flight, 'did not connect'));
      else if (now - flight.lastHeard > timeouts.idleMs) flight.fail(tooSlow(flight, 'sent nothing'));
      else if (now - flight.started > timeouts.totalMs) flight.fail(tooSlow(flight, 'did not finish'));
    }
  }

  function requestCounts(): ReadonlyMap<string, number> {
    const counts = new Map<string, number>();
    for (const { url, sent } of opened) {
      const host = url.slice(url.indexOf('//') + 2);
      for (const [method, count] of sent) {
        counts.set(`${method} ${host}`, (counts.get(`${method} ${host}`) ?? 0) + count);
      }
    }
    return counts;
  }

  function close(): void {
    clearInterval(watchdog);
    watchdog = undefined;
    const closed = new HoubaError('Interrupted', 'the registry client was closed');
    for (const flight of flights) flight.fail(closed);
    for (const { agent } of opened) agent.destroy();
  }

  const requestsUnder = (signal: AbortSignal) => sentUnder.get(signal) ?? 0;
  return { origin, exchange, requestCounts, requestsUnder, close };
}

/** Whether a connection broke off or was closed just when it was used again: worth another try. */
export function isBrokenConnection(error: unknown): boolean {
  return error instanceof HoubaError && BROKEN.has(String(error.facts.error));
}

const CA_RENEWED = 'CA_RENEWED';

const BROKEN: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE', 'ECONNABORTED', CA_RENEWED]);

function contextOf(ca: string | null): SecureContext | undefined {
  return ca === null ? undefined : createSecureContext({ ca: [...rootCertificates, ca] });
}

/** A failure that another try mends. */
function renewedTrust({ url }: Origin): HoubaError {
  const facts = { registry: url, error: CA_RENEWED };
  return new HoubaError('RegistryUnavailable', `the CA of ${url} was replaced`, { facts });
}

function readBody(
  incoming: http.IncomingMessage,
  request: Request,
  flight: Flight,
  done: (body: Uint8Array) => void,
): void {
  if (request.method === 'HEAD') {
    incoming.on('end', () => done(EMPTY));
    incoming.resume();
    return;
  }
  const failed = (incoming.statusCode ?? 0) >= 300;
  const limit = failed ? MAX_ERROR_BYTES : request.maxBytes;
  const chunks: Uint8Array[] = [];
  let length = 0;
  if (!failed && Number(incoming.headers['content-length'] ?? 0) > limit) {
    flight.fail(tooLarge(flight, limit));
    return;
  }
  incoming.on('data', (chunk: Uint8Array) => {
    flight.lastHeard = performance.now();
    length += chunk.length;
    if (length <= limit) chunks.push(chunk);
    else if (!failed) flight.fail(tooLarge(flight, limit));
    else {
      done(Buffer.concat(chunks));
      flight.outgoing.destroy();
    }
  });
  incoming.on('end', () => done(Buffer.concat(chunks)));
}

const DECOMPRESS = new Map([
  ['gzip', gunzipSync],
  ['x-gzip', gunzipSync],
  ['deflate', inflateSync],
  ['br', brotliDecompressSync],
]);

/** null: the body is not compressed, or is not what its header says. */
function decompress(body: Uint8Array, encoding: string | undefined, maxBytes: number): Uint8Array | null {
  const undo = DECOMPRESS.get(encoding?.trim().toLowerCase() ?? '');
  if (undo === undefined || body.length === 0) return null;
  try {
    return undo(body, { maxOutputLength: maxBytes });
  } catch {
    return null;
  }
}

function originUrl(server: Server): string {
  const hostname = isIP(server.hostname) === 6 ? `[${server.hostname}]` : server.hostname;
  const usual = server.port === (server.secure ? 443 : 80);
  return `${server.secure ? 'https' : 'http'}://${hostname}${usual ? '' : `:${server.port}`}`;
}

/** Refuses a name with private addresses although the proxy will resolve it; unknown names pass. */
async function refusePrivateName(hostname: string): Promise<void> {
  const addresses = await lookup(hostname, { all: true }).catch(() => []);
  for (const { address } of addresses) refusePrivateLiteral(address);
}

const HINTS: Readonly<Record<string, string>> = {
  ENOTFOUND: 'the name does not resolve; check its spelling and the DNS of this machine',
  ECONNREFUSED: 'nothing listens there; check host and port',
  EPROTO: 'it may speak plain HTTP; if it should, say tls_verify: false in its roster entry',
  CERT_HAS_EXPIRED: 'its certificate has expired: renew it there, or set the clock of this machine',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet: set the clock of this machine, or of the registry',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name: check the host in its roster entry',
  ERR_SSL_WRONG_VERSION_NUMBER: 'it may speak plain HTTP; if it should, say tls_verify: false in its roster entry',
};

const UNTRUSTED = /CERT|SIGNATURE|ISSUER/;

function connectionError(origin: Origin, error: NodeJS.ErrnoException): Error {
  if (error instanceof HoubaError) return error;
  const code = error.code ?? 'unknown';
  if (code === 'EMFILE' || code === 'ENFILE') return machineError(error, origin.url) ?? error;
  const hint = HINTS[code] ?? (UNTRUSTED.test(code) ? hintOfCa(origin) : undefined);
  return new HoubaError('RegistryUnavailable', `cannot talk to ${origin.url}: ${error.message || code}`, {
    ...(hint === undefined ? {} : { hint }),
    cause: error,
    facts: { registry: origin.url, error: code },
  });
}

function hintOfCa({ ca }: Origin): string {
  if (ca === null) return 'name the CA that signed it as ca_cert in its roster entry';
  return 'the file that its roster entry names as ca_cert lacks the CA that signed it: add it there; no restart is needed';
}

function tooSlow({ outgoing, started }: Flight, what: string): HoubaError {
  const seconds = Math.round((performance.now() - started) / 1000);
  return new HoubaError('RegistryUnavailable', `${outgoing.protocol}//${outgoing.host} ${what} in ${seconds} s`, {
    facts: { registry: outgoing.host, error: 'timeout' },
  });
}

function tooLarge({ outgoing }: Flight, limit: number): HoubaError {
  const host = outgoing.getHeader('host') ?? outgoing.host;
  const what = `${outgoing.method} ${outgoing.protocol}//${host}${outgoing.path.split('?', 1)[0]}`;
  return new HoubaError('Unsupported', `the answer to ${what} is larger than ${limit} bytes`, {
    hint: 'houba reads no more at once: this is not what was asked for, or it is too large to be mirrored',
    facts: { registry: String(host) },
  });
}
