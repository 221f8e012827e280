import ipaddr from 'ipaddr.js';
import { HoubaError } from '../../domain/errors.js';

/**
 * The proxy for a host by the usual variables, or null; never for loopback. `NO_PROXY` lists names (with subdomains),
 * `.suffixes`, addresses, CIDR ranges and `*`, each with an optional port. @throws HoubaError `ConfigInvalid` for one that
 * cannot be used
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
  const address = proxy.includes('://') ? proxy : `http://${proxy}`;
  if (URL.canParse(address) && /^https?:$/.test(new URL(address).protocol)) return new URL(address);
  const variable = named === null ? 'ALL_PROXY' : target.secure ? 'HTTPS_PROXY' : 'HTTP_PROXY';
  throw new HoubaError('ConfigInvalid', `${variable} names no proxy that houba can use`, {
    hint: `set ${variable} to http://host:port or https://host:port, or name ${target.hostname} in NO_PROXY`,
  });
}

function read(environment: Readonly<Record<string, string | undefined>>, name: string): string | null {
  return environment[name] || environment[name.toUpperCase()] || null;
}

function isLoopback(hostname: string): boolean {
  if (/^(?:.+\.)?localhost\.?$/i.test(hostname)) return true;
  // Whoever connects to the unspecified address reaches this machine.
  return ipaddr.isValid(hostname) && ['loopback', 'unspecified'].includes(ipaddr.process(hostname).range());
}

function matches(rule: string, target: { readonly hostname: string; readonly port: number }): boolean {
  if (rule === '*') return true;
  const hostname = target.hostname.toLowerCase().replace(/\.$/, '');
  if (ipaddr.isValidCIDR(rule)) return isWithin(hostname, rule);
  const portAt = ipaddr.IPv6.isValid(rule) ? null : /^(.+):(\d+)$/.exec(rule);
  if (portAt?.[2] !== undefined && Number(portAt[2]) !== target.port) return false;
  const name = (portAt?.[1] ?? rule).replace(/^\*?\./, '').replace(/^\[|\]$|\.$/g, '');
  if (name === '*') return true;
  if (ipaddr.isValid(name) && ipaddr.isValid(hostname)) {
    return ipaddr.process(name).toNormalizedString() === ipaddr.process(hostname).toNormalizedString();
  }
  return hostname === name || hostname.endsWith(`.${name}`);
}

function isWithin(hostname: string, range: string): boolean {
  if (!ipaddr.isValid(hostname)) return false;
  const address = ipaddr.process(hostname);
  const [network, bits] = ipaddr.parseCIDR(range);
  return address.kind() === network.kind() && address.match(network, bits);
}
