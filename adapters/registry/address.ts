import { type LookupAddress, lookup as resolveName } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';
import { HoubaError } from '../../domain/errors.js';

/**
 * Whether an address is on the public internet: not loopback, link-local, private, unique-local, shared or reserved. An IPv4
 * address wrapped in IPv6 counts as itself.
 */
export function isPublicAddress(address: string): boolean {
  if (!ipaddr.isValid(address)) return false;
  const parsed = ipaddr.process(address);
  if (parsed instanceof ipaddr.IPv6 && parsed.range() === 'rfc6052') {
    // NAT64 (64:ff9b::/96): how hosts without IPv4 reach it. The last four bytes are the address.
    return new ipaddr.IPv4(parsed.toByteArray().slice(-4)).range() === 'unicast';
  }
  return parsed.range() === 'unicast';
}

/**
 * Refuses a host that is written as an address houba may not reach. Names are judged by `publicLookup`.
 * @param hostname without brackets and port
 * @throws HoubaError `Denied`
 */
export function refusePrivateLiteral(hostname: string): void {
  if (isIP(hostname) !== 0 && !isPublicAddress(hostname)) throw refused(hostname, hostname);
}

/**
 * Resolves names for connections to hosts outside the roster. The socket connects to the very addresses judged here, so a name
 * cannot show one address to the check and another to the connection.
 */
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
