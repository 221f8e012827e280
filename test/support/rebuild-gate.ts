import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Stands between buildctl and its daemon, so that a test can stop a build in the middle. */
export interface BuildGate {
  /** For `BUILDKIT_HOST`. */
  readonly address: string;
  /** From now on a build is heard of until it has sent as much, in bytes; then the daemon's answers are kept back. */
  holdAfter(bytes: number): void;
  /** Whether a build is held. */
  holds(): boolean;
  release(): void;
  stop(): Promise<void>;
}

/** @param target the daemon's address, `unix:///…` */
export async function startBuildGate(target: string): Promise<BuildGate> {
  const path = join(tmpdir(), `houba-gate-${process.pid}-${Date.now()}.sock`);
  const open = new Set<Socket>();
  let limit: number | null = null;
  let sent = 0;
  const closed = () => limit !== null && sent >= limit;
  const server = createServer((client) => {
    const daemon = connect(target.slice('unix://'.length));
    for (const [socket, other] of [
      [client, daemon],
      [daemon, client],
    ] as const) {
      open.add(socket);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        open.delete(socket);
        other.destroy();
      });
    }
    client.on('data', (chunk: Buffer) => {
      sent += chunk.length;
      daemon.write(chunk);
      if (closed()) daemon.pause();
    });
    daemon.on('data', (chunk: Buffer) => client.write(chunk));
  }).listen(path);
  await once(server, 'listening');
  return {
    address: `unix://${path}`,
    holdAfter: (bytes) => {
      sent = 0;
      limit = bytes;
    },
    holds: closed,
    release: () => {
      limit = null;
      for (const socket of open) socket.resume();
    },
    stop: async () => {
      for (const socket of open) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
