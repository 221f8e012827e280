import ipaddr from 'ipaddr.js';

/**
 * The proxy for a host by the usual variables, or null; never for loopback. `NO_PROXY` lists names (with subdomains),
 * `.suffixes`, addresses, CIDR ranges and `*`, each with an optional port.
 */
export function proxyFor(
  target: { readonly secure: boolean; readonly hostname: string; readonly port: number },
  environment: Readonly<Record<string, string | undefined>>,
): URL | null {
  const named = target.secure ? read(environment, 'https_proxy') : read(environment, 'http_proxy');
  const proxy = named ?? read(environment, 'all_proxy');
  if (proxy === null || isLoopback(target.hostname)) return null;
  const bypassed = (read(environment, 'no_proxy') ?? '').split(/[\s,]+/).filter((rule) => rule !== '');
  if (bypassed.some((rule) => matches(rule.toLowerCase(), target))) return null;
  return new URL(proxy.includes('://') ? proxy : `http://${proxy}`);
}

function read(environment: Readonly<Record<string, string | undefined>>, name: string): string | null {
  const value = environment[name] ?? environment[name.toUpperCase()];
  return value === undefined || value === '' ? null : value;
}

function isLoopback(hostname: string): boolean {
  if (hostname === 'localhost') return true;
  return ipaddr.isValid(hostname) && ipaddr.process(hostname).range() === 'loopback';
}

function matches(rule: string, target: { readonly hostname: string; readonly port: number }): boolean {
  if (rule === '*') return true;
  const hostname = target.hostname.toLowerCase();
  if (ipaddr.isValidCIDR(rule)) return isWithin(hostname, rule);
  const portAt = ipaddr.IPv6.isValid(rule) ? null : /^(.+):(\d+)$/.exec(rule);
  if (portAt?.[2] !== undefined && Number(portAt[2]) !== target.port) return false;
  const name = (portAt?.[1] ?? rule).replace(/^\*?\./, '').replace(/^\[|\]$/g, '');
  return hostname === name || hostname.endsWith(`.${name}`);
}

function isWithin(hostname: string, range: string): boolean {
  if (!ipaddr.isValid(hostname)) return false;
  const address = ipaddr.process(hostname);
  const [network, bits] = ipaddr.parseCIDR(range);
  return address.kind() === network.kind() && address.match(network, bits);
}
