export type Environment = Readonly<Record<string, string | undefined>>;

/** The one place that reads `process.env`; everything else is handed what it needs. */
export function readEnvironment(): Environment {
  return { ...process.env };
}

/** The variables that a child process may inherit: where programs, scratch space, proxies and CAs are. No credential. */
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

/**
 * What cosign may have beside it, and no other program: the key's password, an identity token or where to get one, and what key
 * services ask for.
 */
const SIGNING =
  /^(COSIGN_PASSWORD|SIGSTORE_ID_TOKEN|ACTIONS_ID_TOKEN_REQUEST_(TOKEN|URL)|(AWS|AZURE|GOOGLE|VAULT)_\w+)$/;

/** Names under which a value may be shown; every other one of the signing environment is a secret. */
const SHOWABLE = /_(URL|REGION|PROFILE|ADDR|NAMESPACE|PATH|FILE)$/;

/** What cosign needs from outside, by variable, and which of the values no error may quote. */
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

/** What the usage oracle needs from outside, by variable, beside what every program inherits; no report quotes a value. */
export function oracleEnvironment(environment: Environment): Record<string, string> {
  const set = Object.entries(environment).filter(
    (entry): entry is [string, string] => ORACLE.test(entry[0]) && entry[1] !== undefined && entry[1] !== '',
  );
  return Object.fromEntries(set);
}

/** The environment of an outside program, before its adapter adds the program's own variables. */
export function childEnvironment(environment: Environment): Record<string, string> {
  const child: Record<string, string> = {};
  for (const name of INHERITED) {
    const value = environment[name];
    if (value !== undefined && value !== '') child[name] = value;
  }
  return child;
}
