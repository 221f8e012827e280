import { z } from 'zod';
import { HoubaError } from '../../domain/errors.js';
import { jsonOrNull } from '../../domain/text/json.js';
import type { Credentials } from '../docker-config.js';
import type { Reply } from './transport.js';

/** Authorizes requests to one registry host; tokens are kept per scope until shortly before they expire. */
export interface Authorizer {
  /** The `Authorization` header for a scope, such as `repository:<path>:pull` or empty; null: none is needed so far. */
  header(scope: string): string | null | Promise<string | null>;
  /** Reads the challenge of a 401. @param sent the refused header. @returns a header to try; null: refused again */
  renew(challenge: string | undefined, scope: string, sent: string | null): Promise<string | null>;
}

interface AuthorizerOptions {
  readonly host: string;
  /** Whether the roster allows plain HTTP, also to the token service. */
  readonly plainHttp: boolean;
  credentials(): Promise<Credentials | null>;
  fetch(url: URL, request: TokenRequest): Promise<Reply>;
  /** Milliseconds on a clock that never jumps. */
  elapsed(): number;
}

export interface TokenRequest {
  readonly method: 'GET' | 'POST';
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
}

type Scheme =
  | { readonly kind: 'basic' }
  | { readonly kind: 'bearer'; readonly realm: URL; readonly service: string | null };

interface Token {
  readonly header: string;
  readonly renewAt: number;
}

/** A token is renewed with a quarter of its life left, at most this early. */
const EARLIEST_RENEWAL_MS = 60_000;
/** The life of a token without `expires_in` (distribution token specification), or with none that makes sense. */
const DEFAULT_LIFE_S = 60;
const MOST_TOKENS = 1000;

export function createAuthorizer(options: AuthorizerOptions): Authorizer {
  const { elapsed } = options;
  const tokens = new Map<string, Token>();
  const pending = new Map<string, Promise<string | null>>();
  /** Scopes that challenges asked for beyond houba's own, such as Azure's `metadata_read`. */
  const demanded = new Map<string, Set<string>>();
  let scheme: Scheme | null = null;

  function header(scope: string): string | null | Promise<string | null> {
    if (scheme === null) return null;
    const token = tokens.get(tokenKey(scope));
    if (token !== undefined && elapsed() < token.renewAt) return token.header;
    return once(scope);
  }

  async function renew(challenge: string | undefined, scope: string, sent: string | null): Promise<string | null> {
    const asked = readChallenge(challenge, options);
    if (asked === null) return null;
    scheme = asked.scheme;
    if (asked.scope !== null && asked.scope !== scope) remember(scope, asked.scope);
    const token = tokens.get(tokenKey(scope));
    // Another request may have renewed it while this one was under way.
    if (token !== undefined && token.header !== sent && elapsed() < token.renewAt) return token.header;
    if (token !== undefined && pending.get(scope) === undefined) tokens.delete(tokenKey(scope));
    const fresh = await once(scope);
    return fresh === sent ? null : fresh;
  }

  function tokenKey(scope: string): string {
    return scheme?.kind === 'basic' ? '' : scope;
  }

  function remember(scope: string, wanted: string): void {
    const scopes = demanded.get(scope) ?? new Set<string>();
    if (scopes.size < 4 && wanted.length <= 1000) scopes.add(wanted);
    demanded.set(scope, scopes);
  }

  /** Fetches one token for all requests of a scope. */
  function once(scope: string): Promise<string | null> {
    const running = pending.get(scope);
    if (running !== undefined) return running;
    const fetching = obtain(scope).finally(() => pending.delete(scope));
    pending.set(scope, fetching);
    return fetching;
  }

  async function obtain(scope: string): Promise<string | null> {
    if (scheme === null) return null;
    const credentials = await options.credentials();
    if (scheme.kind === 'basic') {
      if (credentials === null || 'identityToken' in credentials) return null;
      return keep('', basic(credentials.username, credentials.password), Number.POSITIVE_INFINITY);
    }
    const scopes = [scope, ...(demanded.get(scope) ?? [])].filter((text) => text !== '');
    const { token, lifeMs } = await fetchToken(scheme, scopes, credentials, options);
    return keep(scope, `Bearer ${token}`, elapsed() + lifeMs - Math.min(lifeMs / 4, EARLIEST_RENEWAL_MS));
  }

  function keep(key: string, value: string, renewAt: number): string {
    if (tokens.size >= MOST_TOKENS) tokens.clear();
    tokens.set(key, { header: value, renewAt });
    return value;
  }

  return { header, renew };
}

const TokenAnswer = z.object({
  token: z.string().nullish().catch(null),
  access_token: z.string().nullish().catch(null),
  // A lifetime that cannot be read is no reason to refuse the token.
  expires_in: z.number().nullish().catch(null),
});

async function fetchToken(
  scheme: Extract<Scheme, { kind: 'bearer' }>,
  scopes: readonly string[],
  credentials: Credentials | null,
  options: AuthorizerOptions,
): Promise<{ token: string; lifeMs: number }> {
  const { host } = options;
  const reply = await options.fetch(...tokenRequest(scheme, scopes, credentials));
  if (reply.status === 401 || reply.status === 403 || (reply.status >= 300 && reply.status < 500)) {
    const who = credentials === null ? 'without credentials' : 'with the credentials for this host';
    throw new HoubaError('Unauthorized', `${scheme.realm.host} gave no token for ${host} (${reply.status}) ${who}`, {
      hint: `check the credentials for ${host}, and that they may read ${scopes.join(' ') || 'the registry'}`,
      facts: { registry: host, status: reply.status },
    });
  }
  const answer = TokenAnswer.safeParse(reply.status < 300 ? jsonOrNull(reply.body) : null);
  // OAuth2 names it access_token, Docker token; anything but one header value is refused.
  const token = answer.data?.token || answer.data?.access_token;
  if (token == null || !/^[\x21-\x7e]+$/.test(token)) {
    throw new HoubaError(
      'RegistryUnavailable',
      `${scheme.realm.host} answered a token request for ${host} without one`,
      {
        hint: 'a proxy or a login page may be in the way',
        facts: { registry: host, status: reply.status },
      },
    );
  }
  const lifeS = answer.data?.expires_in ?? 0;
  return { token, lifeMs: (lifeS > 0 ? lifeS : DEFAULT_LIFE_S) * 1000 };
}

function tokenRequest(
  scheme: Extract<Scheme, { kind: 'bearer' }>,
  scopes: readonly string[],
  credentials: Credentials | null,
): [URL, TokenRequest] {
  const url = new URL(scheme.realm);
  if (credentials !== null && 'identityToken' in credentials) {
    const form = new URLSearchParams({
      grant_type: 'refresh_token',
      client_id: 'houba',
      refresh_token: credentials.identityToken,
      ...(scheme.service === null ? {} : { service: scheme.service }),
      ...(scopes.length === 0 ? {} : { scope: scopes.join(' ') }),
    });
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    return [url, { method: 'POST', headers, body: form.toString() }];
  }
  if (scheme.service !== null) url.searchParams.set('service', scheme.service);
  for (const scope of scopes) url.searchParams.append('scope', scope);
  const authorization = credentials === null ? null : basic(credentials.username, credentials.password);
  return [url, { method: 'GET', headers: authorization === null ? {} : { authorization }, body: null }];
}

function basic(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

/**
 * Reads `WWW-Authenticate`: Bearer if offered, else Basic, else null. @throws HoubaError `Denied` when credentials
 * would leave home (docs/rules/registry-access.md#authorization-stays-at-home)
 */
function readChallenge(
  text: string | undefined,
  options: AuthorizerOptions,
): { readonly scheme: Scheme; readonly scope: string | null } | null {
  const offers = parseChallenges(text ?? '');
  const bearer = offers.get('bearer');
  if (bearer === undefined || (!bearer.has('realm') && offers.has('basic'))) {
    return offers.has('basic') ? { scheme: { kind: 'basic' }, scope: null } : null;
  }
  const realm = bearer.get('realm') ?? '';
  const url = URL.canParse(realm) ? new URL(realm) : null;
  const allowed = url?.protocol === 'https:' || (url?.protocol === 'http:' && options.plainHttp);
  if (url === null || !allowed || url.username !== '' || url.password !== '') {
    throw new HoubaError(
      'Denied',
      `${options.host} wants its tokens fetched from ${JSON.stringify(realm.slice(0, 200))}, which is not an https address`,
      { hint: 'credentials are sent over https only', facts: { registry: options.host } },
    );
  }
  return {
    scheme: { kind: 'bearer', realm: url, service: bearer.get('service') ?? null },
    scope: bearer.get('scope') ?? null,
  };
}

/** Parses `Bearer realm="…",service="…", Basic realm="…"` to parameters by scheme, both in lower case. */
export function parseChallenges(text: string): Map<string, Map<string, string>> {
  const offers = new Map<string, Map<string, string>>();
  let current: Map<string, string> | undefined;
  // A parameter (name="value" or name=value) or, where no = follows, the name of the next scheme.
  const part = /([A-Za-z0-9!#$%&'*+.^_`|~-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+)))?/g;
  for (const [, name = '', quoted, plain] of text.slice(0, 8192).matchAll(part)) {
    const value = quoted?.replace(/\\(.)/g, '$1') ?? plain;
    if (value === undefined) {
      current = new Map();
      const known = offers.get(name.toLowerCase());
      // The first that says where to go counts.
      if (known?.has('realm') !== true) offers.set(name.toLowerCase(), current);
    } else {
      current?.set(name.toLowerCase(), value);
    }
  }
  return offers;
}
