import { alignProxies } from '../../config/environment.js';
import { runCommandLine } from './program.js';
import { flush } from './terminal.js';

// A reader that has gone (`| head`) must not look like a crash.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

alignProxies();

// The process ends here alone (but for a second Ctrl-C), and explicitly: open connections would keep it alive.
const code = await runCommandLine(process.argv.slice(2));
await flush();
process.exit(code);
