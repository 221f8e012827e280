import { readFile } from 'node:fs/promises';
import type { OutgoingHttpHeaders } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { RATE_LIMITS } from '../../domain/durable/retry.js';
import { HoubaError } from '../../domain/errors.js';
import { createCredentialSource, type RegistryAccess } from '../credentials.js';
import type { AmbientOptions } from '../docker-config.js';
import { type Authorizer, createAuthorizer, type TokenRequest } from './auth.js';
import { type Budget, type Clock, createBudget, waitAsked } from './budget.js';
import { type Asked, failureOf } from './failure.js';
import {
  createTransport,
  isBrokenConnection,
  type Origin,
  type Reply,
  type Server,
  type TransportOptions,
} from './transport.js';

export interface RegistryClientOptions extends AmbientOptions {
  readonly access: ReadonlyMap<string, RegistryAccess>;
  readonly userAgent: string;
  readonly concurrency: number;
  /** More hosts that may have private addresses, with the port if it is not 443. */
  readonly allowHosts?: readonly string[];
  readonly clock?: Clock;
  readonly timeouts?: TransportOptions['timeouts'];
}

export interface Call {
  readonly method: 'GET' | 'HEAD' | 'DELETE';
  readonly path: string;
  readonly accept: string;
  /** The scope of the token, see `Authorizer`. */
  readonly scope: string;
  readonly maxBytes: number;
  /** Statuses that mean "absent" and are answers as 2xx are. Default: 404. */
  readonly absent?: readonly number[];
  /** The server of the page before, if not the registry itself. */
  readonly origin?: Origin;
}

/** A 2xx or "absent" answer, and its server after redirects. */
export interface Answer extends Reply {
  readonly origin: Origin;
  readonly path: string;
}

export interface RegistryClient {
  /**
   * Sends a request within the host's budget, with tokens, redirects and retries. @throws the signal's reason;
   * HoubaError `RateLimited`, `RegistryUnavailable`, `Unauthorized`, `Denied`, `Unsupported`
   */
  call(host: string, call: Call, signal: AbortSignal | undefined): Promise<Answer>;
  requestCounts(): ReadonlyMap<string, number>;
  requestsUnder(signal: AbortSignal): number;
  close(): void;
}

interface Host {
  readonly name: string;
  readonly origin: Origin;
  readonly budget: Budget;
  readonly authorizer: Authorizer;
}

const DOCKER_HUB_ENDPOINT = 'registry-1.docker.io';

/** Tries of one request; after these Temporal retries the activity. */
const MOST_TRIES = 4;
const FIRST_WAIT_MS = 500;
const MOST_REDIRECTS = 5;
const NOT_FOUND: readonly number[] = [404];
const MAX_TOKEN_BYTES = 1024 * 1024;

export function createRegistryClient(options: RegistryClientOptions): RegistryClient {
  const clock = options.clock ?? REAL_CLOCK;
  const credentials = createCredentialSource({ ...options, elapsed: clock.elapsed });
  const hosts = new Map<string, Host>();
  const opening = new Map<string, Promise<Host>>();
  const anonymous = new Map<string, OutgoingHttpHeaders>();
  const transport = createTransport({
    environment: options.environment,
    trusted,
    ...(options.timeouts === undefined ? {} : { timeouts: options.timeouts }),
  });

  /** The roster entry of a server, which allows private addresses, plain HTTP or a CA of its own. */
  function rosterEntry(server: Server): RegistryAccess | null {
    for (const entry of options.access.values()) if (isSame(serverOf(entry), server)) return entry;
    return null;
  }

  async function trusted(server: Server): Promise<{ readonly ca: string | null } | null> {
    const entry = rosterEntry(server);
    if (entry?.caCert != null) return { ca: await readAuthority(entry.caCert, entry.host) };
    if (entry !== null) return { ca: null };
    const allowed = options.allowHosts?.some((host) => isSame(serverOf({ host, tlsVerify: server.secure }), server));
    return allowed === true ? { ca: null } : null;
  }

  async function call(name: string, wanted: Call, signal: AbortSignal | undefined): Promise<Answer> {
    signal?.throwIfAborted();
    const host = hosts.get(name) ?? (await openOnce(name));
    const answer = await persevere(host.budget, name, wanted, () => inTurn(host, wanted, signal), signal);
    if (answer.status < 300 || (wanted.absent ?? NOT_FOUND).includes(answer.status)) return answer;
    throw failureOf(name, wanted, answer, null);
  }

  /** Sends a request in a slot, which nobody holds while a repository rests: others of the host need it. */
  async function inTurn(host: Host, wanted: Call, signal: AbortSignal | undefined): Promise<Answer> {
    const { budget } = host;
    for (;;) {
      const turn = budget.enter(signal);
      if (turn !== undefined) await turn;
      let rest: Promise<void> | undefined;
      try {
        // A rest may have begun while the slot was waited for.
        rest = budget.rested(repositoryIn(wanted.path), signal);
        if (rest === undefined) return await authorized(host, wanted, signal);
      } finally {
        budget.leave();
      }
      await rest;
    }
  }

  function openOnce(name: string): Promise<Host> {
    const running = opening.get(name);
    if (running !== undefined) return running;
    const promise = open(name).finally(() => opening.delete(name));
    opening.set(name, promise);
    return promise;
  }

  async function open(name: string): Promise<Host> {
    let server = serverOf({ host: name, tlsVerify: true });
    const plainHttp = [...options.access.values()].some((entry) => entry.host === name && !entry.tlsVerify);
    if (plainHttp) server = serverOf({ host: name, tlsVerify: false });
    const tokenBudget = createBudget(name, 1, clock);
    const host: Host = {
      name,
      origin: await transport.origin(server),
      budget: createBudget(name, options.concurrency, clock),
      authorizer: createAuthorizer({
        host: name,
        plainHttp,
        credentials: () => credentials.credentialsFor(name),
        fetch: (url, request) => {
          const asked = { method: request.method, path: url.origin + url.pathname };
          return persevere(tokenBudget, name, asked, () => fetchToken(url, request), undefined);
        },
        elapsed: clock.elapsed,
      }),
    };
    hosts.set(name, host);
    return host;
  }

  async function fetchToken(url: URL, request: TokenRequest): Promise<Reply> {
    const origin = await transport.origin(serverOfUrl(url));
    const headers = { accept: 'application/json', 'user-agent': options.userAgent, ...request.headers };
    const path = url.pathname + url.search;
    return transport.exchange(origin, { ...request, path, headers, maxBytes: MAX_TOKEN_BYTES }, undefined);
  }

  /** Retries after the wait that the host asks for; a limit pauses all requests to it. */
  async function persevere<Got extends Reply>(
    budget: Budget,
    name: string,
    asked: Asked,
    send: () => Promise<Got>,
    signal: AbortSignal | undefined,
  ): Promise<Got> {
    const repository = repositoryIn(asked.path);
    for (let tried = 1; ; tried++) {
      const rest = budget.rested(repository, signal);
      if (rest !== undefined) await rest;
      let reply: Got;
      try {
        reply = await send();
      } catch (error) {
        if (!isBrokenConnection(error) || tried >= MOST_TRIES) throw error;
        // At once the first time: the server may have closed a kept connection just when it was used again.
        if (tried > 1) await clock.wait(FIRST_WAIT_MS * 2 ** tried, signal);
        continue;
      }
      if (!isOverloaded(reply)) {
        budget.wentWell();
        restWhenSpent(budget, reply);
        return reply;
      }
      const said = waitAsked(reply.headers, clock.now());
      const waitMs = said ?? FIRST_WAIT_MS * 2 ** tried;
      const everybody = reply.status === 429 || said !== null;
      if (reply.status === 429) budget.limited(repository, waitMs);
      else if (said !== null) budget.rest(waitMs);
      if (tried >= MOST_TRIES || waitMs > RATE_LIMITS.heldMs) throw failureOf(name, asked, reply, waitMs);
      if (!everybody) await clock.wait(waitMs, signal);
    }
  }

  /** Rests at `ratelimit-remaining: 0`, before the next request would be refused. */
  function restWhenSpent(budget: Budget, reply: Reply): void {
    const remaining = reply.headers['ratelimit-remaining'];
    if (typeof remaining !== 'string' || Number.parseInt(remaining, 10) !== 0) return;
    const asked = waitAsked(reply.headers, clock.now());
    // A longer window may not count these requests (Docker Hub counts no HEADs): a 429 will tell.
    if (asked !== null && asked <= RATE_LIMITS.heldMs) budget.rest(asked);
  }

  async function authorized(host: Host, wanted: Call, signal: AbortSignal | undefined): Promise<Answer> {
    const origin = wanted.origin ?? host.origin;
    if (origin !== host.origin) return follow(host, wanted, null, signal);
    let header = host.authorizer.header(wanted.scope);
    if (header instanceof Promise) header = await unlessAborted(header, signal);
    const answer = await follow(host, wanted, header, signal);
    // Only the registry itself may ask for its credentials, not where it redirects to.
    if (answer.status !== 401 || answer.origin !== host.origin) return answer;
    const challenge = answer.headers['www-authenticate'];
    const renewed = await unlessAborted(host.authorizer.renew(challenge, wanted.scope, header), signal);
    return renewed === null ? answer : follow(host, wanted, renewed, signal);
  }

  /** Follows redirects; the authorization stays with the registry's own origin. */
  async function follow(
    host: Host,
    wanted: Call,
    header: string | null,
    signal: AbortSignal | undefined,
  ): Promise<Answer> {
    let origin = wanted.origin ?? host.origin;
    let path = wanted.path;
    for (let hops = 0; ; hops++) {
      const headers = headersOf(wanted.accept, origin === host.origin ? header : null);
      const { method, maxBytes } = wanted;
      const reply = await transport.exchange(origin, { method, path, headers, maxBytes }, signal);
      const { location } = reply.headers;
      if (reply.status < 300 || reply.status >= 400 || location === undefined) {
        return { ...reply, origin, path };
      }
      if (method === 'DELETE') throw refused(host, 'redirects a deletion');
      if (hops === MOST_REDIRECTS) throw refused(host, `redirects more than ${MOST_REDIRECTS} times`);
      const target = URL.canParse(location, origin.url + path) ? new URL(location, origin.url + path) : null;
      const server = target === null ? null : serverOfUrl(target);
      if (target === null || server === null || !mayRedirect(origin, target, server)) {
        throw refused(host, `redirects to ${target === null ? 'no usable address' : target.origin}`);
      }
      origin = await transport.origin(server);
      path = target.pathname + target.search;
    }
  }

  /** Never from https to http; to plain HTTP only where the roster says so. */
  function mayRedirect(from: Origin, target: URL, server: Server): boolean {
    if (target.username !== '' || target.password !== '') return false;
    if (target.protocol === 'https:') return true;
    return target.protocol === 'http:' && !from.secure && rosterEntry(server)?.tlsVerify === false;
  }

  /** Requests without a token share one headers object, which Node only reads. */
  function headersOf(accept: string, authorization: string | null): OutgoingHttpHeaders {
    // Compressed on the way, the bytes would have another digest.
    const common = { accept, 'accept-encoding': 'identity', 'user-agent': options.userAgent };
    if (authorization !== null) return { ...common, authorization };
    let shared = anonymous.get(accept);
    if (shared === undefined) {
      shared = common;
      anonymous.set(accept, shared);
    }
    return shared;
  }

  const { requestCounts, requestsUnder, close } = transport;
  return { call, requestCounts, requestsUnder, close };
}

const REAL_CLOCK: Clock = {
  now: Date.now,
  elapsed: () => performance.now(),
  async wait(ms, signal) {
    try {
      await sleep(ms, undefined, { signal });
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    }
  },
};

/** The repository of a request; null: it is for none. */
function repositoryIn(path: string): string | null {
  return /^\/v2\/(.+)\/(?:manifests|blobs|tags|referrers)\//.exec(path)?.[1] ?? null;
}

function isOverloaded({ status }: Reply): boolean {
  return status === 429 || (status >= 500 && status !== 501);
}

function serverOf({ host, tlsVerify }: { readonly host: string; readonly tlsVerify: boolean }): Server {
  const [, name = host, port] = /^(.*?)(?::(\d+))?$/.exec(host === 'docker.io' ? DOCKER_HUB_ENDPOINT : host) ?? [];
  const hostname = name.replace(/^\[|\]$/g, '').toLowerCase();
  return { secure: tlsVerify, hostname, port: port === undefined ? (tlsVerify ? 443 : 80) : Number(port) };
}

function serverOfUrl(url: URL): Server {
  const secure = url.protocol === 'https:';
  const hostname = url.hostname.replace(/^\[|\]$/g, '');
  return { secure, hostname, port: url.port === '' ? (secure ? 443 : 80) : Number(url.port) };
}

function isSame(one: Server, other: Server): boolean {
  return one.hostname === other.hostname && one.port === other.port && one.secure === other.secure;
}

async function readAuthority(path: string, host: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new HoubaError('ConfigInvalid', `the ca_cert of ${host} cannot be read: ${path}`, { cause });
  }
}

function refused(host: Host, what: string): HoubaError {
  return new HoubaError('Denied', `${host.name} ${what}, which houba does not follow`, {
    hint: 'redirects are followed over https only, and to plain HTTP only where the roster says tls_verify: false',
    facts: { registry: host.name },
  });
}

/** Ends waiting for shared work, but not the work, when the signal is aborted. */
function unlessAborted<Value>(work: Promise<Value>, signal: AbortSignal | undefined): Promise<Value> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
