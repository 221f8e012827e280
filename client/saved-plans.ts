import type { FleetInput, PolicySource } from '../domain/durable/messages.js';
import { HoubaError } from '../domain/errors.js';
import { takeItems } from '../domain/plan/held-plan/item-pages.js';
import { sortItems } from '../domain/plan/held-plan/items-of-work.js';
import {
  type PlannedPolicy,
  type SavedPlan,
  type SavedPolicy,
  toSavedPlan,
} from '../domain/plan/held-plan/saved-plan.js';
import type { ItemPage, PlanItem, PlannedItems } from '../domain/plan/plan-item.js';
import type { PolicyInput } from '../domain/plan/request.js';

/** Most plan items in the input of one run, which a history must hold; a larger plan takes several runs. */
const MOST_ITEMS = 2_000;

/** Plans the items after those of a page: `HoubaClient`. */
interface Pages {
  planItems(input: PolicyInput & { readonly save: { readonly after: string | null } }): Promise<ItemPage>;
}

/**
 * Collects the plan of a dry run that saves it: the run's first items, then page by page. Policies that could not be
 * planned are left out. @param directory the path of the policies
 */
export async function collectPlan(
  client: Pages,
  input: FleetInput,
  { saved }: { readonly saved: ReadonlyMap<string, ItemPage> },
  directory: string,
  now = new Date(),
): Promise<SavedPlan> {
  const created = now.toISOString().replace('Z', '+00:00');
  const planned: PlannedPolicy[] = [];
  for (const { policy, file } of input.policies ?? []) {
    const first = saved.get(policy.metadata.name);
    if (first === undefined) continue;
    const items: PlanItem[] = [...first.items];
    for (let page: ItemPage = first; page.after !== null; items.push(...page.items)) {
      const save = { after: page.after };
      page = await client.planItems({ policy, source: file, options: input.options, now: created, save });
    }
    planned.push({ file, policy, basis: first.basis, items });
  }
  return toSavedPlan(directory, created, planned);
}

/**
 * The runs that carry out a plan in turn; at least one. @param current the policies now; null: use the plan's own
 * copies
 */
export function planInputs(
  { policies, directory }: SavedPlan,
  current: readonly PolicySource[] | null,
  { shard, only, options }: Pick<FleetInput, 'shard' | 'only' | 'options'>,
): [FleetInput, ...FleetInput[]] {
  const now = new Map(current?.map((source) => [source.policy.metadata.name, source]));
  checkOnly(policies, only);
  let part = startPart({ shard, only: null, options });
  const parts: [Part, ...Part[]] = [part];
  for (const saved of policies) {
    const { name, file, policy } = saved;
    if (only !== null && name !== only) continue;
    const source = now.get(name) ?? { file, policy };
    const refusal =
      current === null || now.has(name) ? {} : { refusal: `the policy ${name} is not in ${directory} now` };
    for (let items = sortItems(itemsIn(saved)); items.length > 0; ) {
      if (part.room <= 0) {
        part = startPart({ shard, only: null, options });
        parts.push(part);
      }
      const { page, rest } = takeItems(items, part.room);
      part.input.policies.push(source);
      part.input.plans[name] = { basis: saved.basis, policy: saved.digest, items: page, ...refusal };
      part.room -= page.length;
      items = [...rest];
    }
  }
  const [first, ...others] = parts;
  return [first.input, ...others.map(({ input }) => input)];
}

interface Part {
  readonly input: FleetInput & { readonly policies: PolicySource[]; readonly plans: Record<string, PlannedItems> };
  /** Items that still fit. */
  room: number;
}

function startPart(asked: Pick<FleetInput, 'shard' | 'only' | 'options'>): Part {
  // Without a prototype: a policy may be named `__proto__`.
  return { input: { ...asked, policies: [], plans: Object.create(null) }, room: MOST_ITEMS };
}

function checkOnly(policies: SavedPlan['policies'], only: string | null): void {
  const names = policies.map(({ name }) => name);
  if (only === null || names.includes(only)) return;
  throw new HoubaError('ConfigInvalid', `the plan has nothing to do for a policy named ${JSON.stringify(only)}`, {
    hint: `it has items of: ${names.join(', ') || 'none'}`,
  });
}

function itemsIn({ items }: SavedPolicy): PlanItem[] {
  return items.map(({ seal: _seal, ...item }) => item);
}
