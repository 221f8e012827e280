import { type LookupAddress, lookup as resolveName } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';
import { HoubaError } from '../../domain/errors.js';

/** Whether an address is on the public internet: not loopback, private, link-local or otherwise reserved. */
export function isPublicAddress(address: string): boolean {
  if (!ipaddr.isValid(address)) return false;
  const parsed = ipaddr.process(address);
  if (parsed instanceof ipaddr.IPv6 && parsed.range() === 'rfc6052') {
    // NAT64 (64:ff9b::/96), by which hosts without IPv4 reach it: the last four bytes are the address.
    return new ipaddr.IPv4(parsed.toByteArray().slice(-4)).range() === 'unicast';
  }
  return parsed.range() === 'unicast';
}

/**
 * Refuses a private address (docs/rules/registry-access.md#only-listed-hosts-are-written-to). @throws HoubaError
 * `Denied`
 */
export function refusePrivateLiteral(hostname: string): void {
  if (isIP(hostname) !== 0 && !isPublicAddress(hostname)) throw refused(hostname, hostname);
}

/** Resolves a host outside the roster to public addresses, and connects to the very addresses that it has judged. */
export const publicLookup: LookupFunction = (hostname, options, callback) => {
  resolveName(hostname, { ...options, all: true }, (error, addresses: LookupAddress[]) => {
    if (error !== null) return callback(error, []);
    const inside = addresses.find(({ address }) => !isPublicAddress(address));
    if (inside !== undefined) return callback(refused(hostname, inside.address), []);
    const [first] = addresses;
    if (options.all !== true && first !== undefined) return callback(null, first.address, first.family);
    callback(null, addresses);
  });
};

function refused(hostname: string, address: string): HoubaError {
  const where = hostname === address ? hostname : `${hostname} (${address})`;
  return new HoubaError('Denied', `${where} is not a public address, and no registry of the roster has this host`, {
    hint: 'add the host to HOUBA_REGISTRIES if houba is meant to talk to it',
    facts: { host: hostname, address },
  });
}
