import { createServer } from 'node:net';
import { HoubaError } from '../../domain/errors.js';

const LOOPBACK = '127.0.0.1';

/**
 * Chooses a loopback port. @param mover the option for another one. @throws HoubaError `ConfigInvalid` when it is in
 * use
 */
export async function choosePort(wanted: number | null, mover: string): Promise<number> {
  const server = createServer();
  try {
    return await new Promise<number>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host: LOOPBACK, port: wanted ?? 0, exclusive: true }, () => {
        const address = server.address();
        resolve(typeof address === 'object' && address !== null ? address.port : 0);
      });
    });
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    throw new HoubaError('ConfigInvalid', `port ${wanted} of ${LOOPBACK} cannot be used: ${code}`, {
      hint: `choose another one with ${mover}`,
      cause,
    });
  } finally {
    server.close();
  }
}
