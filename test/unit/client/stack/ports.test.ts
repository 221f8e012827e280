import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { expect, it } from 'vitest';
import { choosePort } from '../../../../client/stack/ports.js';

it('any free port is chosen when none is wanted', async () => {
  expect(await choosePort(null, '--ui-port')).toBeGreaterThan(0);
});

it('a wanted port is kept when it is free, and one in use is an error that names the option which moves it', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await expect(choosePort(port, '--ui-port')).rejects.toThrowError(
    expect.objectContaining({ code: 'ConfigInvalid', hint: expect.stringContaining('--ui-port') }),
  );
  server.close();
  await once(server, 'close');
  expect(await choosePort(port, '--ui-port')).toBe(port);
});
