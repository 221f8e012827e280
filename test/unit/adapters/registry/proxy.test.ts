import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import http from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createRegistryReader } from '../../../../adapters/registry.js';
import { makeCertificate, type TestCertificate } from '../../../support/certificates.js';
import { type FakeRegistry, startFakeRegistry } from '../../../support/fake-registry.js';
import { failure, readerOptions, rosterEntry } from './support.js';

let folder: string;
let certificate: TestCertificate;
let registry: FakeRegistry;
let proxy: http.Server;
let proxyUrl: string;
const asked: string[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'houba-proxy-'));
  certificate = await makeCertificate(folder);
  registry = await startFakeRegistry(certificate);
  registry.on('GET /v2/', { body: '{}' });
  // Every name leads to the fake registry.
  proxy = http.createServer().on('connect', (request, socket) => {
    asked.push(`${request.url} ${request.headers['proxy-authorization']}`);
    const through = connect(Number(registry.host.split(':')[1]), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      through.pipe(socket).pipe(through);
    });
    socket.on('error', () => through.destroy());
    through.on('error', () => socket.destroy());
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  proxyUrl = `http://user:pass@127.0.0.1:${(proxy.address() as AddressInfo).port}`;
});

afterAll(async () => {
  await registry.stop();
  proxy.closeAllConnections();
  proxy.close();
  await rm(folder, { recursive: true });
});

it('reads through the proxy of HTTPS_PROXY, checking the certificate of the registry by the CA of the roster', async () => {
  const entry = rosterEntry('registry.test', { tlsVerify: true, caCert: certificate.caFile });
  const reader = createRegistryReader(readerOptions([entry], { environment: { HTTPS_PROXY: proxyUrl } }));
  await reader.ping('registry.test');
  await reader.ping('registry.test');
  expect(asked).toEqual([`registry.test:443 Basic ${Buffer.from('user:pass').toString('base64')}`]);
  expect(registry.count('GET /v2/')).toBe(2);
  await reader.close();
});

it('trusts no unknown CA through a proxy either', async () => {
  const entry = rosterEntry('registry.test', { tlsVerify: true });
  const reader = createRegistryReader(readerOptions([entry], { environment: { HTTPS_PROXY: proxyUrl } }));
  expect(await failure(reader.ping('registry.test'))).toMatchObject({ code: 'RegistryUnavailable' });
  await reader.close();
});

it('asks the proxy for no private address outside the roster', async () => {
  const before = asked.length;
  const reader = createRegistryReader(readerOptions([], { environment: { HTTPS_PROXY: proxyUrl } }));
  expect(await failure(reader.ping('10.1.2.3'))).toMatchObject({ code: 'Denied' });
  expect(asked).toHaveLength(before);
  await reader.close();
});
