import { describe, expect, it } from 'vitest';
import { isPublicAddress, publicLookup, refusePrivateLiteral } from '../../../../adapters/registry/address.js';
import { proxyFor } from '../../../../adapters/registry/proxy.js';

describe('isPublicAddress', () => {
  it.each([
    ['8.8.8.8', true],
    ['2606:4700::6810:84e5', true],
    ['::ffff:8.8.8.8', true],
    ['64:ff9b::808:808', true],
    ['127.0.0.1', false],
    ['10.1.2.3', false],
    ['172.16.0.1', false],
    ['192.168.1.1', false],
    ['169.254.169.254', false],
    ['100.64.0.1', false],
    ['0.0.0.0', false],
    ['224.0.0.1', false],
    ['255.255.255.255', false],
    ['::1', false],
    ['::', false],
    ['fe80::1', false],
    ['fd00::1', false],
    ['::ffff:10.0.0.1', false],
    ['::ffff:127.0.0.1', false],
    ['64:ff9b::a00:1', false],
    ['2002:7f00:1::', false],
    ['not an address', false],
  ])('says of %s: %s', (address, expected) => {
    expect(isPublicAddress(address)).toBe(expected);
  });

  it('leaves names to the lookup', () => {
    expect(() => refusePrivateLiteral('registry.example')).not.toThrow();
    expect(() => refusePrivateLiteral('10.0.0.1')).toThrow(expect.objectContaining({ code: 'Denied' }));
  });
});

describe('publicLookup', () => {
  const look = (name: string, all: boolean) =>
    new Promise((resolve) => publicLookup(name, { all }, (error, address) => resolve(error ?? address)));

  it.each([
    ['localhost', true],
    ['localhost', false],
    ['127.1', true],
  ])('refuses a name that resolves to a private address: %s (all: %s)', async (name, all) => {
    expect(await look(name, all)).toMatchObject({ code: 'Denied', facts: { host: name } });
  });

  it.each([
    [true, [{ address: '8.8.8.8', family: 4 }]],
    [false, '8.8.8.8'],
  ])('gives the addresses it has judged (all: %s)', async (all, expected) => {
    expect(await look('8.8.8.8', all)).toEqual(expected);
  });

  it('passes on that a name does not resolve', async () => {
    expect(await look('no-such-name.invalid', true)).toBeInstanceOf(Error);
  });
});

describe('proxyFor', () => {
  const target = (hostname: string, port = 443, secure = true) => ({ secure, hostname, port });
  const proxied = { HTTPS_PROXY: 'http://proxy:3128', http_proxy: 'plain-proxy:8080' };

  it.each(['localhost.', 'registry.localhost', '::1', '0.0.0.0', '::', '::ffff:127.0.0.1'])(
    'proxies no loopback: %s',
    (hostname) => {
      expect(proxyFor(target(hostname), proxied)).toBeNull();
    },
  );

  it.each(['http://[', 'socks5://u:secret@proxy:1080'])(
    'names the variable of a proxy that it cannot use: %s',
    (text) => {
      const ask = () => proxyFor({ secure: true, hostname: 'r.example', port: 443 }, { https_proxy: text });
      expect(ask).toThrow(
        expect.objectContaining({ code: 'ConfigInvalid', hint: expect.stringContaining('NO_PROXY') }),
      );
      expect(ask).not.toThrow('secret');
    },
  );

  it.each([
    ['https by HTTPS_PROXY', target('registry.example'), proxied, 'http://proxy:3128/'],
    [
      'http by http_proxy, without a scheme',
      target('registry.example', 80, false),
      proxied,
      'http://plain-proxy:8080/',
    ],
    ['all by ALL_PROXY', target('registry.example'), { ALL_PROXY: 'http://all:1' }, 'http://all:1/'],
    [
      'the lower-case name first',
      target('r.example'),
      { https_proxy: 'http://a:1', HTTPS_PROXY: 'http://b:1' },
      'http://a:1/',
    ],
    ['nothing without a variable', target('registry.example'), {}, null],
    ['nothing when it is empty', target('registry.example'), { HTTPS_PROXY: '' }, null],
    ['no loopback name', target('localhost', 5000), proxied, null],
    ['no loopback address', target('127.0.0.1', 5000), proxied, null],
    [
      'by the other name when one is empty',
      target('r.example'),
      { https_proxy: '', HTTPS_PROXY: 'http://b:1' },
      'http://b:1/',
    ],
    ['no address written otherwise', target('fd00::1'), { ...proxied, no_proxy: 'FD00:0::1' }, null],
    ['no name with a dot at its end', target('r.example'), { ...proxied, no_proxy: 'r.example.' }, null],
  ])('proxies %s', (_, server, environment, expected) => {
    expect(proxyFor(server, environment)?.href ?? null).toBe(expected);
  });

  it.each([
    ['registry.example', '*', true],
    ['registry.example', 'registry.example', true],
    ['registry.example', 'other, REGISTRY.example', true],
    ['eu.registry.example', 'registry.example', true],
    ['eu.registry.example', '.registry.example', true],
    ['eu.registry.example', '*.registry.example', true],
    ['notregistry.example', 'registry.example', false],
    ['registry.example', 'registry.example:443', true],
    ['registry.example', 'registry.example:5000', false],
    ['10.1.2.3', '10.0.0.0/8', true],
    ['11.1.2.3', '10.0.0.0/8', false],
    ['registry.example', '10.0.0.0/8', false],
    ['2001:db8::5', '2001:db8::5', true],
    ['2001:db8::5', '2001:db8::/32', true],
    ['2001:db8::5', '10.0.0.0/8', false],
  ])('of %s, NO_PROXY=%s says direct: %s', (hostname, NO_PROXY, direct) => {
    expect(proxyFor(target(hostname), { ...proxied, NO_PROXY }) === null).toBe(direct);
  });
});
