// The script of the report page: filters, and fills what is opened. What it shows is rendered by domain/report/fleet.
import { formatSpan, msBetween } from '../../domain/report/fleet/age.js';
import { readEmbedded } from '../../domain/report/fleet/embedded-report.js';
import { imageFilter } from '../../domain/report/fleet/image-filter.js';
import { IMAGE_ORDERS, type ImageOrder } from '../../domain/report/fleet/image-table.js';
import {
  FIRST_VIEW,
  RESULT_LISTS,
  type ResultList,
  type Results,
  resultsOf,
} from '../../domain/report/fleet/results.js';

const report = readEmbedded(JSON.parse(find('#report').textContent ?? ''));
const matching = imageFilter(report);
const filter = find<HTMLInputElement>('#filter');
const order = find<HTMLSelectElement>('#order');
const whole = new Set<ResultList>();
/** What the page shows; undefined as long as that is what it came with. */
let results: Results | undefined;

function find<E extends Element>(selector: string, within: ParentNode = document): E {
  const element = within.querySelector<E>(selector);
  if (element === null) throw new Error(`the page has no ${selector}`);
  return element;
}

function compute(): Results {
  return resultsOf(report, filter.value, matching(filter.value), { order: order.value as ImageOrder, whole });
}

function show(lists: readonly ResultList[] = RESULT_LISTS): void {
  results = compute();
  for (const list of lists) find(`[data-results="${list}"]`).innerHTML = results.lists[list].text;
  find('[role="status"]').textContent = results.status;
}

function change(): void {
  whole.clear();
  show();
  const state = new URLSearchParams();
  if (filter.value !== '') state.set('q', filter.value);
  if (order.value !== FIRST_VIEW.order) state.set('sort', order.value);
  history.replaceState(null, '', `#${state}`);
}

/** Takes filter and order from the address; a fragment without them names a place on the page. */
function readAddress(): void {
  const state = new URLSearchParams(location.hash.slice(1));
  if (!state.has('q') && !state.has('sort')) return;
  const sort = state.get('sort') ?? '';
  filter.value = state.get('q') ?? '';
  order.value = Object.hasOwn(IMAGE_ORDERS, sort) ? sort : FIRST_VIEW.order;
  whole.clear();
  show();
  find('#find').scrollIntoView();
}

function showAll(button: HTMLElement): void {
  const list = button.dataset.all as ResultList;
  const container = find<HTMLElement>(`[data-results="${list}"]`);
  const before = container.querySelectorAll('tbody tr').length;
  whole.add(list);
  show([list]);
  // The button is gone: whoever pressed it goes on at the first row that is new.
  container.querySelectorAll<HTMLElement>('tbody summary')[before]?.focus();
}

function fill({ target }: Event): void {
  if (!(target instanceof HTMLDetailsElement) || !target.open) return;
  const { list, at } = target.dataset;
  if (list === undefined || at === undefined) return;
  delete target.dataset.list;
  results ??= compute();
  find('p', target).outerHTML = results.open(list, at).text;
}

function onKey(event: KeyboardEvent): void {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement;
  if (event.key === '/' && !typing) {
    event.preventDefault();
    filter.focus();
    filter.select();
  } else if (event.key === 'Escape' && filter.value !== '') {
    event.preventDefault();
    filter.value = '';
    change();
  }
}

filter.addEventListener('input', change);
order.addEventListener('change', change);
find('form').addEventListener('submit', (event) => event.preventDefault());
document.addEventListener('toggle', fill, true);
document.addEventListener('keydown', onKey);
document.addEventListener('click', ({ target }) => {
  if (target instanceof HTMLElement && target.dataset.all !== undefined) showAll(target);
});
window.addEventListener('hashchange', readAddress);

document.documentElement.classList.add('script');
const old = msBetween(report.generated_at, new Date().toISOString()) ?? 0;
if (old > 0) find('#page-age').textContent = `, ${formatSpan(old)} ago`;
order.value = FIRST_VIEW.order;
readAddress();
performance.mark('ready');
