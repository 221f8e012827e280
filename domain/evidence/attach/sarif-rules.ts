import { fieldOf, isObject, type JsonObject, listOf } from './json-document.js';

/** Finds what a run says of the rule behind a result; null: nothing. */
export type RuleLookup = (result: unknown) => JsonObject | null;

/** A driver or an extension. Everything is looked up in maps: a report may hold millions of whatever it likes. */
interface Component {
  readonly rules: readonly unknown[];
  readonly byId: ReadonlyMap<string, JsonObject>;
  readonly byGuid: ReadonlyMap<string, JsonObject>;
}

/**
 * Reads the rules of a run's driver and extensions (SARIF 2.1.0, 3.27.5 to 3.27.7 and 3.52). A rule is found by its index
 * where the index and the id agree, else by its id, of which a result may add components: `CA5350/md5`
 * (docs/rules/evidence.md#a-report-is-counted-one-way).
 */
export function readRules(run: JsonObject): RuleLookup {
  const tool = fieldOf(run, 'tool');
  const driver = readComponent(fieldOf(tool, 'driver'));
  const described = listOf(fieldOf(tool, 'extensions')) ?? [];
  const extensions = described.map(readComponent);
  const named = {
    guid: mapBy(described, 'guid', (_, index) => extensions[index] as Component),
    name: mapBy(described, 'name', (_, index) => extensions[index] as Component),
  };
  const everywhere = mapBy(
    [driver, ...extensions].flatMap(({ rules }) => rules),
    'id',
    (rule) => rule,
  );

  /** The component that a reference names; the driver where it names none. */
  function componentOf(reference: unknown): Component {
    const index = fieldOf(reference, 'index');
    if (typeof index === 'number') return extensions[index] ?? driver;
    const byGuid = named.guid.get(fieldOf(reference, 'guid') as string);
    return byGuid ?? named.name.get(fieldOf(reference, 'name') as string) ?? driver;
  }

  return (result) => {
    const rule = fieldOf(result, 'rule');
    const id = ruleIdOf(result);
    const component = componentOf(fieldOf(rule, 'toolComponent'));
    return (
      byIndex(component, fieldOf(rule, 'index') ?? fieldOf(result, 'ruleIndex'), id) ??
      component.byGuid.get(fieldOf(rule, 'guid') as string) ??
      (id === null ? null : (findById(component.byId, id) ?? findById(everywhere, id)))
    );
  };
}

/** The id of the rule that a result names; null: it names none. */
export function ruleIdOf(result: unknown): string | null {
  for (const id of [fieldOf(result, 'ruleId'), fieldOf(fieldOf(result, 'rule'), 'id')]) {
    if (typeof id === 'string' && id !== '') return id;
  }
  return null;
}

function readComponent(component: unknown): Component {
  const rules = listOf(fieldOf(component, 'rules')) ?? [];
  return { rules, byId: mapBy(rules, 'id', (rule) => rule), byGuid: mapBy(rules, 'guid', (rule) => rule) };
}

/** Maps objects by a text in them; the first of equal ones counts. */
function mapBy<Value>(
  list: readonly unknown[],
  key: string,
  read: (entry: JsonObject, index: number) => Value,
): ReadonlyMap<string, Value> {
  const map = new Map<string, Value>();
  for (const [index, entry] of list.entries()) {
    const text = fieldOf(entry, key);
    if (isObject(entry) && typeof text === 'string' && !map.has(text)) map.set(text, read(entry, index));
  }
  return map;
}

function byIndex({ rules }: Component, index: unknown, id: string | null): JsonObject | null {
  const rule = typeof index === 'number' ? rules[index] : undefined;
  if (!isObject(rule)) return null;
  const ruleId = fieldOf(rule, 'id');
  return id === null || id === ruleId || id.startsWith(`${ruleId}/`) ? rule : null;
}

/** SARIF lets a result add one component. */
const MOST_COMPONENTS = 10;

function findById(rules: ReadonlyMap<string, JsonObject>, id: string): JsonObject | null {
  let part = id;
  for (let count = 0; count < MOST_COMPONENTS && part !== ''; count++) {
    const rule = rules.get(part);
    if (rule !== undefined) return rule;
    part = part.slice(0, Math.max(part.lastIndexOf('/'), 0));
  }
  return null;
}
