import { runCommandLine } from './program.js';
import { flush } from './terminal.js';

// A reader that has gone (`| head`) must not look like a crash.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

// The one place where a process ends (but for a second Ctrl-C). Not by itself: connections may linger.
const code = await runCommandLine(process.argv.slice(2));
await flush();
process.exit(code);
