import { type Html, html } from '../../text/html.js';
import { byBaseDigest, byOwner, byPackage } from './blast-radius.js';
import { counted, formatCount } from './distribution.js';
import type { FleetReport } from './fleet-report.js';
import { baseTable, groupDetails, ownerTable, packageTable, versionList } from './group-tables.js';
import type { FilterMatch } from './image-filter.js';
import { type ImageOrder, imageDetails, imageTable, orderImages } from './image-table.js';

/** The lists that follow the filter, and how many rows each has before somebody asks for all. */
const FIRST_ROWS = { base: 10, owner: 10, package: 10, image: 30 } as const;
export type ResultList = keyof typeof FIRST_ROWS;
export const RESULT_LISTS = Object.keys(FIRST_ROWS) as ResultList[];

export interface ResultView {
  readonly order: ImageOrder;
  /** Lists that are shown to their end. */
  readonly whole: ReadonlySet<ResultList>;
}

export const FIRST_VIEW: ResultView = { order: 'findings', whole: new Set() };

export interface Results {
  readonly status: string;
  readonly lists: Readonly<Record<ResultList, Html>>;
  /** What a `<details>` of the lists shows when it is opened. */
  open(list: string, at: string): Html;
}

/** Renders what the filter leaves over: on the page as it is written, and again in the browser with each change. */
export function resultsOf(
  report: FleetReport,
  text: string,
  match: FilterMatch,
  { order, whole }: ResultView,
): Results {
  const { images } = match;
  const groups = {
    base: byBaseDigest(report, images),
    owner: byOwner(report, images),
    package: byPackage(report, match),
  };
  const total = images.length;
  const most = (list: ResultList) => (whole.has(list) ? Number.POSITIVE_INFINITY : FIRST_ROWS[list]);
  const rows = orderImages(report, images, order).slice(0, most('image'));
  return {
    status: statusOf(total, report.images.length, text.trim()),
    lists: {
      base: listOf('base', groups.base.length, most('base'), baseTable(report, groups.base, most('base'), total)),
      owner: listOf('owner', groups.owner.length, most('owner'), ownerTable(groups.owner, most('owner'), total)),
      package: listOf(
        'package',
        groups.package.length,
        most('package'),
        packageTable(groups.package, most('package'), total),
      ),
      image: listOf('image', total, most('image'), imageTable(report, rows)),
    },
    open(list, at) {
      const [first = -1, second = -1] = at.split('.').map(Number);
      if (list === 'image') return imageDetails(report, first);
      const packages = groups.package[first];
      if (list === 'package') return packages === undefined ? html`` : versionList(packages, first);
      const version = packages?.versions[second];
      const group =
        list === 'version' ? version && { key: null, images: version.images } : groups[list as 'base' | 'owner'][first];
      return group === undefined ? html`` : groupDetails(report, group);
    },
  };
}

function statusOf(left: number, all: number, text: string): string {
  if (text === '') return counted(all, 'image');
  return `${left === 0 ? 'None' : formatCount(left)} of ${counted(all, 'image')} for “${text}”`;
}

function listOf(list: ResultList, rows: number, most: number, table: Html): Html {
  if (rows === 0) return html`<p class="aside">None.</p>`;
  if (rows <= most) return table;
  return html`${table}<p class="more">${formatCount(most)} of ${formatCount(rows)}. <button type="button" class="scripted" data-all="${list}">Show all ${formatCount(rows)}</button></p>`;
}
