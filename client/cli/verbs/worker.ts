import { Command, InvalidArgumentError } from 'commander';
import { QUEUES } from '../../../domain/durable/names.js';
import { HoubaError } from '../../../domain/errors.js';

export function workerCommand(): Command {
  return new Command('worker')
    .option('--queues <names>', 'serve these task queues alone, separated by commas', queueNames)
    .addHelpText(
      'after',
      '\nExample:\n  TEMPORAL_ADDRESS=localhost:7233 houba worker --queues houba-flow,houba-registry',
    )
    .action(work);
}

function queueNames(text: string): string[] {
  const known: string[] = Object.values(QUEUES);
  const named = text.split(',').map((name) => name.trim());
  const unknown = named.filter((name) => !known.includes(name));
  if (unknown.length === 0) return named;
  throw new InvalidArgumentError(`It knows ${known.join(', ')}, not ${unknown.join(', ')}.`);
}

/** Serves a Temporal until a signal ends it, after its running activities. */
async function work({ queues }: { readonly queues?: readonly string[] }): Promise<void> {
  const { settingsOfProcess } = await import('../settings.js');
  const { settings } = settingsOfProcess();
  const { address, namespace, connection } = settings.temporal;
  if (address === null || connection === null) {
    throw new HoubaError('ConfigInvalid', 'a worker needs a Temporal to serve', {
      hint: 'set TEMPORAL_ADDRESS; `houba up` starts Temporal and worker together',
    });
  }
  const { watchInterrupts } = await import('../interrupts.js');
  const { explainFailure } = await import('../../run-failure.js');
  const { createLogger } = await import('../../../worker/journal.js');
  const { startWorker } = await import('../../../worker/worker.js');
  const interrupts = watchInterrupts();
  const log = createLogger({ format: settings.logFormat, level: settings.logLevel, destination: 'stderr' });
  const worker = await startWorker({ settings, connection, namespace, log, ...(queues && { queues }) }).catch(
    (error: unknown) => {
      throw explainFailure(error, `Temporal at ${address}`);
    },
  );
  log.info({ address, namespace, queues: queues ?? Object.values(QUEUES) }, 'worker.started');
  const running = worker.run();
  await Promise.race([running, interrupts.first()]);
  worker.shutdown();
  await running;
  log.info({}, 'worker.stopped');
  interrupts.stop();
}
