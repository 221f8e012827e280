import { FOREIGN_VARIABLES, VARIABLES, type Variable } from './variables.js';

/** Renders docs/reference/configuration.md from the table of variables. */
export function configurationMarkdown(): string {
  const variables: Pick<Variable<unknown>, 'name' | 'group' | 'type' | 'default' | 'doc'>[] = Object.values(VARIABLES);
  const lines = [
    '<!-- Made by `houba config reference > docs/reference/configuration.md`. Do not edit. -->',
    '',
    '# Configuration',
    '',
    'houba is configured by environment variables. A command-line option wins over its variable, a variable over its',
    'default. `houba config show` prints every value and where it comes from, with passwords masked.',
    '',
    'JSON variables hold one JSON value. Booleans are `true`/`false`, `1`/`0`, `yes`/`no` or `on`/`off`. Durations are a whole',
    'number and a unit: `7d`, `36h`, `30m`, `20s`, or `0`. A variable that is set to nothing counts as unset, but for',
    '`HOUBA_LABEL_PREFIX`. An invalid value ends a command with exit code 3; all mistakes are reported together. A `HOUBA_`',
    'variable that houba does not know gets a warning with the nearest known name.',
  ];
  for (const group of new Set(variables.map((variable) => variable.group))) {
    lines.push('', `## ${group}`, '', '| Variable | Type | Default | What it does |', '|---|---|---|---|');
    for (const variable of variables.filter((one) => one.group === group)) {
      const preset =
        variable.default === null ? 'unset' : variable.default === '' ? 'empty' : `\`${variable.default}\``;
      lines.push(`| \`${variable.name}\` | ${variable.type} | ${preset} | ${variable.doc} |`);
    }
  }
  lines.push(...ROSTER, '', '## Variables of other programs', '', '| Variable | What it does |', '|---|---|');
  for (const { name, doc } of FOREIGN_VARIABLES) lines.push(`| \`${name}\` | ${doc} |`);
  return `${lines.join('\n')}\n`;
}

const ROSTER = [
  '',
  '## Entries of the roster',
  '',
  '`HOUBA_REGISTRIES` maps the name that policies use to an entry. Unknown keys are refused.',
  '',
  '| Key | Default | What it does |',
  '|---|---|---|',
  '| `host` | required | `host[:port]`, with a namespace that every repository lives under if there is one: `ghcr.io/acme`. |',
  '| `username`, `password` | none | What to log in with: both or neither. Without them the Docker files are asked. |',
  '| `tls_verify` | `true` | `false` means plain HTTP. |',
  '| `ca_cert` | none | Path of a PEM file with the CA of the registry, trusted beside the well-known ones. |',
  '| `deletion_mode` | none | `mark` or `purge`, for this registry; a policy can override it. |',
  '| `source_only` | `false` | `true`: policies only take from it. Nothing is written there, and no sweep walks it unless `houba audit --registry` names it. |',
  '',
  '```sh',
  `export HOUBA_REGISTRIES='{"main": {"host": "registry.example.com", "username": "houba", "password": "…"}}'`,
  '```',
];
