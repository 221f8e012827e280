// A process that carries out houba's commands one after another, each as a message: see command-server.ts.
import { runCommandLine } from '../../dist/fast/program.js';

const written = { stdout: '', stderr: '' };
for (const name of ['stdout', 'stderr']) {
  process[name].write = (text, ...rest) => {
    written[name] += text;
    rest.find((it) => typeof it === 'function')?.();
    return true;
  };
}

process.on('message', async ({ args, env }) => {
  for (const name of Object.keys(process.env)) delete process.env[name];
  Object.assign(process.env, env);
  Object.assign(written, { stdout: '', stderr: '' });
  const code = await runCommandLine(args);
  process.exitCode = undefined;
  process.send({ code, ...written });
});
process.on('disconnect', () => process.exit());
