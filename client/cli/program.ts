import { Command } from 'commander';
import { readEnvironment } from '../../config/environment.js';
import { knownError } from '../../domain/errors.js';
import { SWEEP_NAMES, SWEEPS, type SweepName } from '../sweep-kinds.js';
import { TemporalUnreachable } from '../unreachable.js';
import { describeError, exitCodeOfError } from './failure.js';
import { note } from './terminal.js';

interface Verb {
  readonly name: string;
  readonly description: string;
  readonly load: () => Promise<Command>;
}

/** Every verb, in the order of the help. A verb's module is imported only when it is used, so that each starts fast. */
const VERBS: readonly Verb[] = [
  {
    name: 'reconcile',
    description: 'bring the registries to what the policies say',
    load: async () => (await import('./verbs/reconcile.js')).reconcileCommand(),
  },
  {
    name: 'plan',
    description: 'say what reconcile would do, and write nothing',
    load: async () => (await import('./verbs/plan.js')).planCommand(),
  },
  ...sweeps((name) => name === 'purge'),
  {
    name: 'approve',
    description: 'let a marked tag go that waits for somebody to say so',
    load: async () => (await import('./verbs/approve.js')).approveCommand(),
  },
  {
    name: 'restore',
    description: 'take a deletion mark back, until the last moment',
    load: async () => (await import('./verbs/restore.js')).restoreCommand(),
  },
  ...sweeps((name) => name !== 'purge'),
  {
    name: 'waiting',
    description: 'list what waits: moved tags until they stand still, marked tags until they go',
    load: async () => (await import('./verbs/waiting.js')).waitingCommand(),
  },
  {
    name: 'promote',
    description: 'take a waiting digest over now',
    load: async () => (await import('./verbs/promote.js')).promoteCommand(),
  },
  {
    name: 'hold',
    description: 'take nothing over at a waiting tag until it is released',
    load: async () => (await import('./verbs/hold.js')).holdCommand(),
  },
  {
    name: 'release',
    description: 'let a held tag go on waiting',
    load: async () => (await import('./verbs/release.js')).releaseCommand(),
  },
  {
    name: 'status',
    description: 'show recent runs, or how one is',
    load: async () => (await import('./verbs/status.js')).statusCommand(),
  },
  {
    name: 'cancel',
    description: 'ask a run to end cleanly',
    load: async () => (await import('./verbs/cancel.js')).cancelCommand(),
  },
  {
    name: 'schedule',
    description: 'say what houba does by itself, and when',
    load: async () => (await import('./verbs/schedule.js')).scheduleCommand(),
  },
  {
    name: 'up',
    description: 'start the embedded stack (Temporal and a worker) and leave it up',
    load: async () => (await import('./verbs/up.js')).upCommand(),
  },
  {
    name: 'down',
    description: 'stop the embedded stack',
    load: async () => (await import('./verbs/down.js')).downCommand(),
  },
  {
    name: 'worker',
    description: 'serve the Temporal of TEMPORAL_ADDRESS until stopped',
    load: async () => (await import('./verbs/worker.js')).workerCommand(),
  },
  {
    name: 'policy',
    description: 'write, check and try out policies',
    load: async () => {
      const { policyCommand } = await import('./verbs/policy.js');
      return policyCommand({ listTags: async (source) => (await import('./source-tags.js')).sourceTags(source) });
    },
  },
  {
    name: 'attach',
    description: 'attach a scan report or VEX document to an image, and sign it',
    load: async () => (await import('./verbs/attach.js')).attachCommand(),
  },
  {
    name: 'verify',
    description: 'judge an image by its evidence: stamp, SBOM, signatures, scans',
    load: async () => (await import('./verbs/verify.js')).verifyCommand(),
  },
  {
    name: 'config',
    description: 'show the settings and where they come from',
    load: async () => (await import('./verbs/config.js')).configCommand(),
  },
  {
    name: 'doctor',
    description: 'check programs, Temporal and registries, and say how to mend what is wrong',
    load: async () => (await import('./verbs/doctor.js')).doctorCommand(),
  },
  {
    name: 'schema',
    description: 'print the JSON Schema of what houba writes',
    load: async () => (await import('./verbs/schema.js')).schemaCommand(),
  },
  {
    name: 'version',
    description: 'print the version',
    load: async () => (await import('./verbs/version.js')).versionCommand(),
  },
];

function sweeps(isMeant: (name: SweepName) => boolean): Verb[] {
  return SWEEP_NAMES.filter(isMeant).map((name) => ({
    name,
    description: SWEEPS[name].description,
    load: async () => (await import('./run-sweep.js')).sweepCommand(name),
  }));
}

/** Parses and runs a command line (without node and script). @returns the exit code */
export async function runCommandLine(words: readonly string[]): Promise<number> {
  process.exitCode = 0;
  try {
    const program = await buildProgram(words);
    await program.parseAsync(words, { from: 'user' });
    return Number(process.exitCode);
  } catch (thrown) {
    const error = await causeOf(thrown);
    const code = exitCodeOfError(error);
    // Commander has printed its own errors already.
    if (!(error instanceof Error && 'code' in error && String(error.code).startsWith('commander.'))) {
      note(describeError(error, readEnvironment().HOUBA_LOG_LEVEL?.toUpperCase() === 'DEBUG'));
    }
    return code;
  }
}

/** What keeps the embedded Temporal from answering, where that is the disk of its database; else the error itself. */
async function causeOf(error: unknown): Promise<unknown> {
  if (!(error instanceof TemporalUnreachable)) return error;
  try {
    const { loadSettings } = await import('../../config/settings.js');
    const { settings } = loadSettings(readEnvironment());
    const { runningStack } = await import('../stack/embedded.js');
    if (settings.temporal.address !== null || runningStack(settings.home) === null) return error;
    const { tryWriting } = await import('../stack/stack-files.js');
    tryWriting(settings.home);
    return error;
  } catch (cause) {
    return knownError(cause)?.code === 'MachineFailed' ? cause : error;
  }
}

async function buildProgram(words: readonly string[]): Promise<Command> {
  const program = new Command('houba')
    .description('The single front door for container images from outside.')
    .option('--no-color', 'no colour, also on a terminal')
    .addHelpText('after', '\nExample:\n  houba reconcile policies/')
    .configureHelp({ showGlobalOptions: true });
  const named = words.filter((word) => !word.startsWith('-'));
  const wanted = named[0] === 'help' ? named[1] : named[0];
  const completing = wanted === 'completion' || wanted === 'complete';
  for (const { name, description, load } of VERBS) {
    const verb = completing || wanted === name ? await load() : new Command(name);
    program.addCommand(verb.description(description));
  }
  if (completing) {
    const { default: addCompletion } = await import('@bomb.sh/tab/commander');
    addCompletion(program, { completionCommandName: 'completion' });
  } else program.command('completion').description('print the completion script of a shell');
  throwErrors(program);
  return program;
}

/** Makes Commander throw its errors; commands added later do not inherit that. */
function throwErrors(command: Command): void {
  command.exitOverride();
  for (const inner of command.commands) throwErrors(inner);
}
