import { parseArgs } from 'node:util';

const HELP = `Compares houba with regsync (and skopeo, if it is installed) on registries of its own.

  --quick            a tenth of everything, for trying the harness; its figures mean nothing
  --part idle|first  only "nothing to do", or only "first import"
  --runs N           measured runs of each "nothing to do" command (3); the median counts
  --json FILE        also write the figures here
  --profile          write V8 CPU profiles of the worker to bench/profiles; its figures mean nothing
`;

/** How much is measured, from the command line. */
export function readOptions(argv) {
  const { values } = parseArgs({
    args: argv,
    options: {
      help: { type: 'boolean', short: 'h' },
      quick: { type: 'boolean' },
      part: { type: 'string' },
      runs: { type: 'string' },
      json: { type: 'string' },
      profile: { type: 'boolean' },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    process.exit(0);
  }
  if (values.part !== undefined && !['idle', 'first'].includes(values.part)) throw new Error('--part idle or first');
  return {
    parts: values.part === undefined ? ['idle', 'first'] : [values.part],
    tags: values.quick ? 100 : 1_000,
    repositories: 10,
    images: values.quick ? 50 : 1_000,
    runs: Number(values.runs ?? (values.quick ? 1 : 3)),
    json: values.json ?? null,
    profile: values.profile ?? false,
    quick: values.quick ?? false,
  };
}
