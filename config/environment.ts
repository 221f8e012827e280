export type Environment = Readonly<Record<string, string | undefined>>;

/** Reads `process.env`, here alone; everything else gets what it needs. */
export function readEnvironment(): Environment {
  return { ...process.env };
}

const PROXIES = ['https_proxy', 'http_proxy', 'no_proxy'];

/**
 * Sets the proxy variables in lower and upper case alike, in `process.env`: programs and libraries read one or the
 * other, gRPC lower case alone. Of two that differ the lower case wins.
 */
export function alignProxies(environment: Record<string, string | undefined> = process.env): void {
  for (const lower of PROXIES) {
    const upper = lower.toUpperCase();
    const value = environment[lower] || environment[upper];
    if (value) Object.assign(environment, { [lower]: value, [upper]: value });
  }
}

/** Variables that a child process inherits: programs, scratch space, proxies, CAs. No credential. */
const INHERITED = [
  'PATH',
  'HOME',
  'TMPDIR',
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'NO_PROXY',
  'http_proxy',
  'https_proxy',
  'no_proxy',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
];

/** Variables that cosign alone inherits: the key's password, an identity token or its source, key service logins. */
const SIGNING =
  /^(COSIGN_PASSWORD|SIGSTORE_ID_TOKEN|ACTIONS_ID_TOKEN_REQUEST_(TOKEN|URL)|(AWS|AZURE|GOOGLE|VAULT)_\w+)$/;

/** Variables of the signing environment whose values may be shown; all others are secrets. */
const SHOWABLE = /_(URL|REGION|PROFILE|ADDR|NAMESPACE|PATH|FILE)$/;

/** The variables for cosign, and the values that no error may quote. */
export function signingEnvironment(environment: Environment): {
  variables: Record<string, string>;
  secrets: readonly string[];
} {
  const set = Object.entries(environment).filter(
    (entry): entry is [string, string] => SIGNING.test(entry[0]) && entry[1] !== undefined && entry[1] !== '',
  );
  return {
    variables: Object.fromEntries(set),
    secrets: set.filter(([name]) => !SHOWABLE.test(name)).map(([, value]) => value),
  };
}

const ORACLE = /^USAGE_ORACLE_\w+$/;

/** The variables for the usage oracle, beside what every program inherits; no report quotes a value. */
export function oracleEnvironment(environment: Environment): Record<string, string> {
  const set = Object.entries(environment).filter(
    (entry): entry is [string, string] => ORACLE.test(entry[0]) && entry[1] !== undefined && entry[1] !== '',
  );
  return Object.fromEntries(set);
}

/** The environment of a program, before its adapter adds the program's own variables. */
export function childEnvironment(environment: Environment): Record<string, string> {
  const child: Record<string, string> = {};
  for (const name of INHERITED) {
    const value = environment[name];
    if (value !== undefined && value !== '') child[name] = value;
  }
  return child;
}
