import { z } from 'zod';
import { valueDigest } from '../../canonical-json.js';
import { type Digest, isDigest } from '../../digest.js';
import { HoubaError } from '../../errors.js';
import { checkPolicy } from '../../policy/check.js';
import { formatPath } from '../../policy/issues.js';
import type { MirrorPolicy } from '../../policy/schema.js';
import { escapeControls } from '../../text/escape.js';
import { ITEM_KINDS, type PlanBasis, type PlanItem } from '../plan-item.js';

/** The file of `houba plan --out` and `houba reconcile --plan`. It holds no secret. */
export interface SavedPlan {
  readonly schema_version: 1;
  readonly document: typeof DOCUMENT;
  readonly created: string;
  readonly directory: string;
  readonly policies: readonly SavedPolicy[];
}

export interface SavedPolicy {
  readonly name: string;
  readonly file: string;
  readonly digest: Digest;
  readonly policy: MirrorPolicy;
  readonly basis: PlanBasis;
  readonly items: readonly SavedItem[];
}

/** An item with a checksum that finds changes; it is no signature. */
export type SavedItem = PlanItem & { readonly seal: string };

const DOCUMENT = 'houba plan';

export interface PlannedPolicy {
  readonly file: string;
  readonly policy: MirrorPolicy;
  readonly basis: PlanBasis;
  readonly items: readonly PlanItem[];
}

export function toSavedPlan(directory: string, created: string, planned: readonly PlannedPolicy[]): SavedPlan {
  const policies = planned
    .filter(({ items }) => items.length > 0)
    .map(({ file, policy, basis, items }): SavedPolicy => {
      const digest = valueDigest(policy);
      const sealed = items.map((item) => ({ ...item, seal: sealOf(item, digest) }));
      return { name: policy.metadata.name, file, digest, policy, basis, items: sealed };
    });
  return { schema_version: 1, document: DOCUMENT, created, directory, policies };
}

/** Writes one item a line, so that large plans can be compared. */
export function formatSavedPlan({ policies, ...head }: SavedPlan): string {
  const written = policies.map(({ items, ...policy }) => {
    const lines = items.map((item) => `        ${JSON.stringify(item)}`).join(',\n');
    const body = indented(JSON.stringify(policy, null, 2), 4).slice(0, -'\n    }'.length);
    return `    ${body},\n      "items": [\n${lines}\n      ]\n    }`;
  });
  const opening = JSON.stringify(head, null, 2).slice(0, -'\n}'.length);
  return `${opening},\n  "policies": [${written.length === 0 ? '' : `\n${written.join(',\n')}\n  `}]\n}\n`;
}

/** @throws HoubaError `ConfigInvalid` with every mistake and its place; `file` is for messages */
export function parseSavedPlan(file: string, text: string): SavedPlan {
  const value = parseJson(file, text);
  checkKind(file, value);
  const read = SavedPlanShape.safeParse(value);
  if (!read.success) {
    throw invalid(
      file,
      read.error.issues.map(({ path, message }) => located(path as (string | number)[], message)),
    );
  }
  const plan = read.data as unknown as SavedPlan;
  const faults = plan.policies.flatMap(checkSaved);
  const names = plan.policies.map(({ name }) => name);
  names.forEach((name, index) => {
    if (names.indexOf(name) !== index) faults.push(located(['policies', index, 'name'], 'stands in the plan twice'));
  });
  if (faults.length > 0) throw invalid(file, faults);
  return plan;
}

function checkSaved({ name, policy, digest, items }: SavedPolicy, index: number): string[] {
  const at = (path: readonly (string | number)[], message: string) => located(['policies', index, ...path], message);
  const checked = checkPolicy(policy);
  const faults = checked.issues.map((issue) => at(['policy', ...issue.path], issue.message));
  if (faults.length > 0) return faults;
  if (valueDigest(policy) !== digest) return [at(['policy'], `was changed since it was planned: it was ${digest}`)];
  if (policy.metadata.name !== name) return [at(['name'], `is not that of the policy, ${policy.metadata.name}`)];
  return items.flatMap(({ seal, ...item }, place) =>
    seal === sealOf(item, digest) ? [] : [at(['items', place], 'was changed since it was planned')],
  );
}

function sealOf(item: PlanItem, policy: Digest): string {
  return valueDigest([policy, item]).slice('sha256:'.length, 'sha256:'.length + 12);
}

function parseJson(file: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new HoubaError('ConfigInvalid', `${file}: not JSON: ${escapeControls(String((cause as Error).message))}`, {
      hint: HINT,
    });
  }
}

function checkKind(file: string, value: unknown): void {
  const found = typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  if (found.document !== DOCUMENT) {
    throw new HoubaError('ConfigInvalid', `${file}: document: not a plan of houba`, { hint: HINT });
  }
  if (found.schema_version === 1) return;
  throw new HoubaError('ConfigInvalid', `${file}: schema_version: ${String(found.schema_version)} is not known`, {
    hint: 'this houba reads version 1; plan anew with it',
  });
}

function located(path: readonly (string | number)[], message: string): string {
  return `${formatPath(path)}: ${message}`;
}

const MOST_FAULTS = 20;
const HINT = 'write one with `houba plan DIR --out FILE`';

function invalid(file: string, faults: readonly string[]): HoubaError {
  const told = faults.slice(0, MOST_FAULTS).map((fault) => escapeControls(`${file}: ${fault}`));
  if (faults.length > MOST_FAULTS) told.push(`and ${faults.length - MOST_FAULTS} more`);
  const text = told.length === 1 ? told.join() : [`${faults.length} mistakes:`, ...told].join('\n  ');
  return new HoubaError('ConfigInvalid', text, {
    hint: 'items may be taken out of a plan and nothing else be changed; plan anew',
  });
}

function indented(text: string, by: number): string {
  return text.replaceAll('\n', `\n${' '.repeat(by)}`);
}

export function planJsonSchema(): Record<string, unknown> {
  const { $schema, ...body } = z.toJSONSchema(SavedPlanShape, { target: 'draft-2020-12' });
  return { $schema, $id: 'https://houba.io/schemas/plan.schema.json', title: 'houba plan', ...body };
}

const DigestText = z
  .string()
  .refine(isDigest, 'not a digest')
  .meta({ pattern: '^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$' });

const Item = z
  .strictObject({
    kind: z.enum(ITEM_KINDS).describe('What is done; unmarked: a mark is cleared, of which no report tells'),
    repository: z.string().describe('The destination, host and path'),
    tag: z.string().describe('Output tag or alias; empty for marks that name no tag'),
    import: z.string(),
    variant: z.string().nullable().describe('null for deletions and marks'),
    src_tag: z.string().nullable().describe("The source's tag; for an alias, the tag it points to"),
    digest: DigestText.nullable().describe(
      'The source digest; for an alias, what it is to show, null until its tag is placed',
    ),
    current: DigestText.nullable().describe('What the tag showed; null: it was not there'),
    reason: z.string().nullable().describe('Why a tag is marked'),
    seal: z.string().describe('Tells whether the item was changed since it was planned; no signature'),
  })
  .meta({ id: 'Item' });

const Basis = z
  .strictObject({
    settings: z.record(z.string(), z.string()).describe("The worker's settings that decide the outcome, by variable"),
    transforms: z.record(z.string(), z.string()).describe('The version of each transform, by import/variant'),
  })
  .describe('What decides the outcome beside policy and registries')
  .meta({ id: 'Basis' });

export const SavedPlanShape = z.strictObject({
  schema_version: z.literal(1),
  document: z.literal(DOCUMENT),
  created: z.iso.datetime({ offset: true }).describe('When it was planned'),
  directory: z.string().describe('The path that the policies were read from'),
  policies: z.array(
    z.strictObject({
      name: z.string(),
      file: z.string().describe('The file that the policy was read from'),
      digest: DigestText.describe('Of the policy, whatever the order of its keys'),
      policy: z.record(z.string(), z.unknown()).describe('The policy as written, see policy.schema.json'),
      basis: Basis,
      items: z.array(Item),
    }),
  ),
});
