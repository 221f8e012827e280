import { once } from 'node:events';
import http from 'node:http';

/**
 * A reverse proxy that counts requests by method. It costs time, so it stands only in runs whose time is not taken.
 * @returns {Promise<{host: string, take: () => Record<string, number>, stop: () => Promise<void>}>} `take` empties it
 */
export async function startCounter(target) {
  const agent = new http.Agent({ keepAlive: true });
  const [hostname, port] = target.split(':');
  let counts = {};
  const server = http.createServer((request, response) => {
    const { method, url: path, headers } = request;
    counts[method] = (counts[method] ?? 0) + 1;
    const onward = http.request({ agent, hostname, port, method, path, headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    request.pipe(onward);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    host: `127.0.0.1:${server.address().port}`,
    take() {
      const taken = counts;
      counts = {};
      return taken;
    },
    async stop() {
      server.closeAllConnections();
      server.close();
      agent.destroy();
      await once(server, 'close');
    },
  };
}
