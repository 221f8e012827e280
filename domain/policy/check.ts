import { closest, distance } from 'fastest-levenshtein';
import { z } from 'zod';
import { HoubaError } from '../errors.js';
import { upstreamKeyProblem } from '../evidence/upstream/upstream-key.js';
import { LONGEST_PATH } from '../reference.js';
import { givesOrder } from '../selection/order.js';
import { compilePattern } from '../selection/pattern.js';
import { refuseSteps } from '../transform/resolve.js';
import type { TransformStep } from '../transform/step.js';
import { type DocumentIssue, formatPath } from './issues.js';
import { MirrorPolicy } from './schema.js';

export type CheckedPolicy =
  | { readonly policy: MirrorPolicy; readonly issues: readonly [] }
  | { readonly policy: null; readonly issues: readonly DocumentIssue[] };

export function checkPolicy(document: unknown): CheckedPolicy {
  const parsed = MirrorPolicy.safeParse(document);
  const issues = [
    ...(parsed.error?.issues.flatMap((issue) => schemaIssues(issue, document)) ?? []),
    ...crossIssues(document),
  ];
  return parsed.success && issues.length === 0 ? { policy: parsed.data, issues: [] } : { policy: null, issues };
}

/** Checks rules over several fields, even where the schema fails: one mistake does not hide another. */
function crossIssues(document: unknown): DocumentIssue[] {
  const spec = asMap(asMap(document)?.spec);
  if (spec === null) return [];
  const defaults = asMap(spec.defaults);
  const imports = asList(spec.imports);
  const issues = [
    ...duplicates(imports, 'name', ['spec', 'imports'], 'import'),
    ...transformIssues(spec.artifactType, spec.defaults, ['spec', 'defaults']),
    ...upstreamKeyIssues(defaults, ['spec', 'defaults']),
  ];
  imports.forEach((entry, index) => {
    const path = ['spec', 'imports', index];
    issues.push(
      ...transformIssues(spec.artifactType, entry, path),
      ...upstreamKeyIssues(asMap(entry), path),
      ...importIssues(asMap(entry), defaults, path),
    );
  });
  return issues;
}

/** Finds destinations whose path no registry can hold. A run fails their policy alone, so that they invalidate no set. */
export function destinationIssues({ spec }: MirrorPolicy): DocumentIssue[] {
  const issuesOf = (destinations: MirrorPolicy['spec']['imports'][number]['destinations'], path: Path) =>
    (destinations ?? []).flatMap(({ project, repository }, index) => {
      const { length } = `${project}/${repository}`;
      if (length <= LONGEST_PATH) return [];
      return [
        at(
          [...path, 'destinations', index, 'repository'],
          `the path has ${length} characters, of at most ${LONGEST_PATH}`,
          {
            hint: 'shorten project or repository; a namespace in the roster comes on top',
          },
        ),
      ];
    });
  return [
    ...issuesOf(spec.defaults?.destinations, ['spec', 'defaults']),
    ...spec.imports.flatMap((entry, index) => issuesOf(entry.destinations, ['spec', 'imports', index])),
  ];
}

type Path = readonly (string | number)[];
type Loose = Readonly<Record<string, unknown>>;

function importIssues(entry: Loose | null, defaults: Loose | null, path: Path): DocumentIssue[] {
  if (entry === null) return [];
  const issues: DocumentIssue[] = [];
  const destinations = entry.destinations ?? defaults?.destinations;
  if (destinations == null || (Array.isArray(destinations) && destinations.length === 0)) {
    const where = entry.destinations == null ? path : [...path, 'destinations'];
    issues.push(
      at(where, 'the import has no destinations, so nothing would be done', {
        hint: 'add destinations to the import or to spec.defaults',
        missing: true,
      }),
    );
  }
  issues.push(...orderIssues(entry, defaults, path));
  issues.push(...repeatedDestinations(asList(entry.destinations), [...path, 'destinations']));
  if (Array.isArray(entry.variants) && entry.variants.length === 0) {
    issues.push(
      at([...path, 'variants'], 'variants is empty, so the import would have no output', {
        hint: 'leave variants out for one variant without a suffix',
      }),
    );
  }
  const variants = asList(entry.variants);
  issues.push(...duplicates(variants, 'name', [...path, 'variants'], 'variant'));
  issues.push(...duplicates(variants, 'suffix', [...path, 'variants'], 'variant', ''));
  return issues;
}

/** Demands groups where they give the order (docs/rules/selection.md#groups-give-the-order). */
function orderIssues(entry: Loose, defaults: Loose | null, path: Path): DocumentIssue[] {
  const tags: Loose = { ...asMap(defaults?.tags), ...asMap(entry.tags) };
  if (tags.order !== 'regex') return [];
  const { includeRegex } = tags;
  if (typeof includeRegex === 'string' && !compiles(includeRegex)) return [];
  if (typeof includeRegex === 'string' && givesOrder(compilePattern(includeRegex))) return [];
  const written = [...path, 'tags'];
  const where = asMap(entry.tags)?.order === undefined ? written : [...written, 'order'];
  return [
    at(where, 'order: regex needs an includeRegex with one of the named groups major, minor, patch, build, revision', {
      hint: "as in includeRegex: '^(?P<major>\\d+)\\.(?P<minor>\\d+)$'",
    }),
  ];
}

function compiles(pattern: string): boolean {
  try {
    compilePattern(pattern);
    return true;
  } catch {
    return false;
  }
}

/** Checks upstream keys before a run (docs/rules/evidence.md#a-policy-cannot-choose-where-keys-are-read). */
function upstreamKeyIssues(holder: Loose | null, path: Path): DocumentIssue[] {
  const key = asMap(holder?.verifyUpstream)?.key;
  const problem = typeof key === 'string' && key !== '' ? upstreamKeyProblem(key) : null;
  return problem === null ? [] : [at([...path, 'verifyUpstream', 'key'], `verifyUpstream.key ${problem}`)];
}

/** Refuses transforms of other artifacts than images (docs/rules/policy.md#only-images-are-transformed). */
function transformIssues(artifactType: unknown, holder: unknown, path: Path): DocumentIssue[] {
  const map = asMap(holder);
  if (map === null) return [];
  const holders = [{ map, path }];
  asList(map.variants).forEach((variant, index) => {
    const inner = asMap(variant);
    if (inner !== null) holders.push({ map: inner, path: [...path, 'variants', index] });
  });
  return holders.flatMap((one) => {
    const steps = asList(one.map.transform);
    if (steps.length > 0 && (artifactType === 'generic' || artifactType === 'helmChart')) {
      const hint = 'remove the transform, or use artifactType: image';
      const message = `artifactType ${artifactType} cannot be transformed`;
      return [at([...one.path, 'transform'], message, { hint, atKey: true })];
    }
    return stepIssues(steps, [...one.path, 'transform']);
  });
}

/** Checks the order of steps; a step of a wrong shape is left to the schema. */
function stepIssues(written: readonly unknown[], path: Path): DocumentIssue[] {
  const steps: TransformStep[] = [];
  for (const step of written) {
    const [[name, params] = ['', null], ...others] = Object.entries(asMap(step) ?? {});
    if (name === '' || others.length > 0 || (params !== null && asMap(params) === null)) return [];
    steps.push({ name, params: asMap(params) ?? {} });
    try {
      refuseSteps(steps);
    } catch (error) {
      if (!(error instanceof HoubaError)) throw error;
      return [at([...path, steps.length - 1], error.message, { hint: error.hint })];
    }
  }
  return [];
}

/** Refuses repeated names and suffixes (docs/rules/policy.md#names-and-suffixes-of-variants-are-unique). */
function duplicates(list: readonly unknown[], key: string, path: Path, what: string, absent?: string): DocumentIssue[] {
  const seen = new Map<unknown, number>();
  const issues: DocumentIssue[] = [];
  list.forEach((entry, index) => {
    const map = asMap(entry);
    if (map === null) return;
    const value = map[key] ?? absent;
    if (typeof value !== 'string') return;
    const first = seen.get(value);
    if (first === undefined) {
      seen.set(value, index);
      return;
    }
    const where = key in map ? [...path, index, key] : [...path, index];
    const other = formatPath([...path, first]);
    issues.push(at(where, `two ${what}s have the ${key} ${JSON.stringify(value)}: this one and ${other}`));
  });
  return issues;
}

function repeatedDestinations(destinations: readonly unknown[], path: Path): DocumentIssue[] {
  const seen = new Set<string>();
  const issues: DocumentIssue[] = [];
  destinations.forEach((entry, index) => {
    const map = asMap(entry);
    if (map === null) return;
    const key = JSON.stringify([map.registry ?? null, map.project, map.repository]);
    if (seen.has(key)) issues.push(at([...path, index], 'the same destination stands here twice'));
    seen.add(key);
  });
  return issues;
}

function schemaIssues(issue: z.core.$ZodIssue, document: unknown): DocumentIssue[] {
  const path = issue.path.filter((step) => typeof step !== 'symbol');
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey(path, key));
  const name = formatPath(path) || 'the document';
  if (issue.code === 'invalid_type' || issue.code === 'invalid_value') {
    const parent = valueAt(document, path.slice(0, -1));
    const key = path.at(-1);
    if (typeof key === 'string' && asMap(parent)?.[key] === undefined) {
      return [at(path.slice(0, -1), `the required key ${JSON.stringify(key)} is missing`, { missing: true })];
    }
  }
  const hint = issue.code === 'custom' && typeof issue.params?.hint === 'string' ? issue.params.hint : undefined;
  return [at(path, `${name}: ${messageOf(issue, valueAt(document, path))}`, { hint })];
}

function messageOf(issue: z.core.$ZodIssue, value: unknown): string {
  switch (issue.code) {
    case 'invalid_type':
      return `must be ${TYPE_NAMES[issue.expected] ?? issue.expected}, not ${describe(value)}`;
    case 'invalid_value':
      return `must be ${issue.values.map((one) => JSON.stringify(one)).join(' or ')}, not ${describe(value)}`;
    case 'too_small':
      return issue.origin === 'array' || issue.origin === 'string'
        ? issue.message
        : `must be at least ${issue.minimum}`;
    case 'too_big':
      return `must be at most ${issue.maximum}${issue.origin === 'string' ? ' characters' : ''}`;
    case 'invalid_format':
    case 'invalid_union':
      return `${describe(value)} ${issue.message}`;
    default:
      return typeof value === 'string' && /^(is|must) /.test(issue.message)
        ? `${describe(value)} ${issue.message}`
        : issue.message;
  }
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  array: 'a list',
  object: 'a mapping',
  record: 'a mapping',
  string: 'text (in quotes if it looks like a number)',
  boolean: 'true or false',
  int: 'a whole number',
  number: 'a number',
};

function describe(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'a mapping';
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

/** Reports an unknown key in the words that reading a file uses too, so that both are told once. */
export function unknownKey(path: Path, key: string): DocumentIssue {
  const known = knownKeys(path);
  return at([...path, key], `unknown key ${JSON.stringify(key)} in ${formatPath(path) || 'the document'}`, {
    hint: keyHint(key, known),
    atKey: true,
  });
}

function keyHint(key: string, known: readonly string[]): string | undefined {
  if (known.length === 0) return undefined;
  if (known.includes(key)) return 'it does not go together with the other keys here';
  const nearest = closest(
    key.toLowerCase(),
    known.map((one) => one.toLowerCase()),
  );
  const original = known.find((one) => one.toLowerCase() === nearest) ?? nearest;
  if (distance(key.toLowerCase(), nearest) <= Math.max(2, Math.ceil(nearest.length / 2))) {
    return `did you mean ${JSON.stringify(original)}?`;
  }
  return `known keys: ${known.join(', ')}; nearest: ${JSON.stringify(original)}`;
}

/** The keys that the schema knows at a path; none where anything goes. */
function knownKeys(path: Path): string[] {
  let types: z.core.$ZodType[] = [MirrorPolicy];
  for (const step of path) types = types.flatMap(alternatives).flatMap((type) => childTypes(type, step));
  return types.flatMap(alternatives).flatMap((type) => (type instanceof z.ZodObject ? Object.keys(type.shape) : []));
}

function alternatives(type: z.core.$ZodType): z.core.$ZodType[] {
  if (type instanceof z.ZodOptional || type instanceof z.ZodNullable) return alternatives(type.unwrap());
  return type instanceof z.ZodUnion ? type.options.flatMap(alternatives) : [type];
}

function childTypes(type: z.core.$ZodType, step: string | number): z.core.$ZodType[] {
  if (type instanceof z.ZodArray) return [type.element];
  if (!(type instanceof z.ZodObject)) return [];
  const child: unknown = Object.hasOwn(type.shape, step) ? type.shape[step] : undefined;
  return child instanceof z.core.$ZodType ? [child] : [];
}

function at(
  path: Path,
  message: string,
  more: { readonly hint?: string | undefined; readonly atKey?: boolean; readonly missing?: boolean } = {},
): DocumentIssue {
  return { path, atKey: more.atKey ?? false, missing: more.missing ?? false, message, hint: more.hint ?? null };
}

function valueAt(document: unknown, path: Path): unknown {
  return path.reduce<unknown>((value, step) => {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined;
    return (value as Record<string | number, unknown>)[step];
  }, document);
}

function asMap(value: unknown): Loose | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Loose) : null;
}

function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
