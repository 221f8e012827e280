/** Variables as a process has them. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The one place that reads `process.env`; everything else is handed what it needs. */
export function readEnvironment(): Environment {
  return { ...process.env };
}

/** What a child process may inherit: where programs, scratch space, proxies and the system's CAs are. No credential (S6). */
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

/** The environment of an outside program, before its adapter adds the program's own variables. */
export function childEnvironment(environment: Environment): Record<string, string> {
  const child: Record<string, string> = {};
  for (const name of INHERITED) {
    const value = environment[name];
    if (value !== undefined && value !== '') child[name] = value;
  }
  return child;
}
