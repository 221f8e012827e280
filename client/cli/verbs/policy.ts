import { createReadStream } from 'node:fs';
import { Command } from 'commander';
import { readPolicyFiles } from '../../../adapters/policy-files.js';
import { HoubaError } from '../../../domain/errors.js';
import { destinationIssues } from '../../../domain/policy/check.js';
import { explainSelection, type ImportExplanation } from '../../../domain/policy/explain.js';
import { formatIssue, type PolicyIssue, PolicySetInvalid } from '../../../domain/policy/issues.js';
import { policyJsonSchemaText } from '../../../domain/policy/json-schema.js';
import { overlaps } from '../../../domain/policy/overlap.js';
import { type ResolvedPolicy, resolvePolicy } from '../../../domain/policy/resolve.js';
import { parseTagList } from '../../../domain/policy/tag-list.js';
import { escapeControls } from '../../../domain/text/escape.js';
import { named, type Output, outputOption } from '../options.js';
import { note, print, printJson } from '../terminal.js';

/** Lists the tags of a source registry, for when no list is given. */
export type ListTags = (source: { readonly registry: string; readonly repository: string }) => Promise<string[]>;

export function policyCommand(deps: { readonly listTags: ListTags }): Command {
  const command = new Command('policy').description('write, check and try out policies');
  command
    .command('schema')
    .description('print the JSON Schema (2020-12) of policy files')
    .addHelpText('after', '\nExample:\n  houba policy schema > policy.schema.json')
    .action(() => print(policyJsonSchemaText()));
  command
    .command('check')
    .description('check policies without network and without a roster')
    .argument('<dir>', 'folder of policies, or one file', named)
    .addOption(outputOption())
    .addHelpText('after', '\nExample:\n  houba policy check policies/')
    .action((path: string, options: { output: Output }) => checkPolicies(path, options.output));
  command
    .command('test')
    .description('show for every source tag whether it is selected, by which rule, and what it becomes')
    .argument('<file>', 'policy file', named)
    .option('--tags-from <file>', "a registry's tags/list JSON, or one tag a line; - reads standard input", named)
    .option('--import <name>', 'show this import alone')
    .addOption(outputOption())
    .addHelpText('after', '\nExample:\n  houba policy test policies/redis.yaml --tags-from tags.json')
    .action((path: string, options: TestOptions) => testPolicy(path, options, deps.listTags));
  return command;
}

interface TestOptions {
  readonly tagsFrom?: string;
  readonly import?: string;
  readonly output: Output;
}

async function checkPolicies(path: string, output: Output): Promise<void> {
  try {
    const warnings: PolicyIssue[] = [];
    const files = await readPolicyFiles(path, (policy, locate) => {
      const found = overlaps(policy);
      warnings.push(...found.warnings.map(locate));
      return [...destinationIssues(policy), ...found.mistakes];
    });
    const imports = files.reduce((count, { policy }) => count + policy.spec.imports.length, 0);
    for (const warning of warnings) note(formatIssue(warning, 'warning: '));
    const report = { schema_version: 1, valid: true, policies: files.length, imports, issues: [], warnings };
    if (output === 'json') await printJson(report);
    else await print(`${many(files.length, 'policy')}, ${many(imports, 'import')}: ok\n`);
  } catch (error) {
    if (output === 'json' && error instanceof PolicySetInvalid) {
      await printJson({
        schema_version: 1,
        valid: false,
        policies: null,
        imports: null,
        issues: error.issues,
        warnings: [],
      });
    }
    throw error;
  }
}

async function testPolicy(path: string, options: TestOptions, listTags: ListTags): Promise<void> {
  const policy = await readOnePolicy(path);
  const imports = policy.imports.filter(({ name }) => options.import === undefined || name === options.import);
  if (imports.length === 0) {
    throw new HoubaError('ConfigInvalid', `${policy.name} has no import ${JSON.stringify(options.import)}`, {
      hint: `its imports: ${policy.imports.map(({ name }) => name).join(', ')}`,
    });
  }
  const tags = options.tagsFrom === undefined ? await listTags(policy.source) : await readTagList(options.tagsFrom);
  const explained = imports.map((entry) => explainSelection(entry, tags));
  if (options.output === 'json') await printJson({ schema_version: 1, policy: policy.name, imports: explained });
  else await print(renderTest(policy, tags.length, explained));
}

async function readOnePolicy(path: string): Promise<ResolvedPolicy> {
  const [first, ...others] = await readPolicyFiles(path);
  if (first !== undefined && others.length === 0) return resolvePolicy(first.policy);
  throw new HoubaError('ConfigInvalid', `${path} holds ${others.length + 1} policies`, {
    hint: 'name one policy file',
  });
}

/** Reads a list of tags; of names that are none it warns, as a run leaves them out. */
async function readTagList(file: string): Promise<readonly string[]> {
  const name = file === '-' ? 'standard input' : file;
  const { tags, odd } = parseTagList(name, await readBytes(file, name));
  if (odd.length > 0) {
    const quoted = odd.slice(0, 3).map((text) => JSON.stringify(text.slice(0, 150)));
    const more = odd.length > 3 ? ` and ${odd.length - 3} more` : '';
    note(escapeControls(`warning: ${name}: left out, as a run would, what is no tag: ${quoted.join(', ')}${more}`));
  }
  return tags;
}

const LARGEST_LIST = 64 * 1024 * 1024;

async function readBytes(file: string, name: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of file === '-' ? process.stdin : createReadStream(file)) {
      length += chunk.length;
      if (length > LARGEST_LIST) throw new Error(`larger than ${LARGEST_LIST / 1024 / 1024} MiB`);
      chunks.push(chunk);
    }
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code ?? (cause instanceof Error ? cause.message : String(cause));
    throw new HoubaError('ConfigInvalid', `the tag list ${JSON.stringify(name)} cannot be read (${why})`, { cause });
  }
  return Buffer.concat(chunks);
}

function renderTest(policy: ResolvedPolicy, tags: number, imports: readonly ImportExplanation[]): string {
  const source = `${policy.source.registry}/${policy.source.repository}`;
  return [`policy ${policy.name}  source ${source}  ${many(tags, 'tag')}\n`, ...imports.map(renderImport)].join('\n');
}

function renderImport(explanation: ImportExplanation): string {
  const { name, variants, selected, rejected, reasons = {}, aliases, warnings } = explanation;
  const outputs = (tag: string) => variants.map(({ suffix }) => `${tag}${suffix}`).join(', ');
  const because = (tag: string) => (Object.hasOwn(reasons, tag) ? `(${reasons[tag]})` : '');
  const rows = [
    ...selected.map((tag) => ['+', tag, 'selected', `-> ${outputs(tag)}  ${because(tag)}`]),
    ...rejected.map(({ tag, rule }) => ['-', tag, rule, because(tag)]),
  ];
  const moving = Object.entries(aliases).map(([alias, target]) => [
    '@',
    outputs(alias),
    'alias',
    `-> ${outputs(target)}`,
  ]);
  return [
    `import ${name}  ${selected.length} selected, ${rejected.length} rejected, ${many(moving.length, 'alias')}`,
    `variants: ${variants.map((variant) => variant.name + (variant.suffix && ` (${variant.suffix})`)).join(', ')}`,
    ...warnings.map((warning) => escapeControls(`warning: ${warning}`)),
    ...table([...rows, ...moving]),
    '',
  ].join('\n');
}

/** Aligns columns, up to a width at which one long tag would push the others away. */
function table(rows: readonly (readonly string[])[]): string[] {
  const widths = [0, 1, 2].map((column) => {
    return rows.reduce((width, row) => Math.max(width, Math.min(row[column]?.length ?? 0, 40)), 0);
  });
  return rows.map((row) =>
    `  ${row.map((cell, column) => escapeControls(cell).padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd(),
  );
}

function many(count: number, noun: string): string {
  const plural = noun.endsWith('y') ? `${noun.slice(0, -1)}ies` : noun.endsWith('s') ? `${noun}es` : `${noun}s`;
  return `${count} ${count === 1 ? noun : plural}`;
}
