import { SEVERITIES } from '../../evidence/severity.js';
import { compareText } from '../../text/compare-text.js';
import { type Html, html } from '../../text/html.js';
import { formatSpan, formatTime, msBetween } from './age.js';
import { counted, formatCount } from './distribution.js';
import type { FleetImage, FleetReport } from './fleet-report.js';
import { hasReached, RUNGS, type Rung } from './ladder.js';

export const IMAGE_ORDERS = {
  findings: 'Worst findings first',
  name: 'By name',
  age: 'Longest in place first',
} as const;
export type ImageOrder = keyof typeof IMAGE_ORDERS;

/** Sorts indexes of images; what has no scan or no age comes last. */
export function orderImages({ images }: FleetReport, indexes: readonly number[], order: ImageOrder): number[] {
  const sorted = indexes.flatMap((index) => {
    const image = images[index];
    return image === undefined ? [] : [{ index, image }];
  });
  sorted.sort(({ image: a }, { image: b }) => COMPARE[order](a, b) || compareText(a.image_ref, b.image_ref));
  return sorted.map(({ index }) => index);
}

const COMPARE: Readonly<Record<ImageOrder, (a: FleetImage, b: FleetImage) => number>> = {
  findings: (a, b) => {
    if (a.findings === null || b.findings === null) return Number(a.findings === null) - Number(b.findings === null);
    for (const one of SEVERITIES) if (a.findings[one] !== b.findings[one]) return b.findings[one] - a.findings[one];
    return 0;
  },
  name: () => 0,
  age: (a, b) => {
    if (a.placed_at === null || b.placed_at === null)
      return Number(a.placed_at === null) - Number(b.placed_at === null);
    return msBetween(b.placed_at, a.placed_at) ?? 0;
  },
};

/** On a narrow screen each row becomes a card; the roles keep it a table for a screen reader. */
export function imageTable(report: FleetReport, indexes: readonly number[]): Html {
  const heads = COLUMNS.map(([head]) => html`<th scope="col" role="columnheader">${head}</th>`);
  return html`<table class="images" role="table"><caption>Images</caption>
<thead role="rowgroup"><tr role="row"><th scope="col" role="columnheader">Image</th>${heads}</tr></thead>
<tbody role="rowgroup">${indexes.map((index) => rowOf(report, index))}</tbody></table>
`;
}

const COLUMNS: readonly (readonly [head: string, cell: (image: FleetImage, now: string) => Html | null])[] = [
  [
    'Owners',
    ({ owners, policy }) => html`${listed(owners)}${policy === null ? null : html`<small>policy ${policy}</small>`}`,
  ],
  ['Evidence', evidenceOf],
  ['Findings', findingsOf],
  ['Age', ageOf],
  ['State', stateOf],
];

function rowOf({ images, generated_at }: FleetReport, index: number): Html | null {
  const image = images[index];
  if (image === undefined) return null;
  const cells = COLUMNS.map(([head, cell]) => {
    const content = cell(image, generated_at);
    return html`<td role="cell" data-head="${head}">${content && html`<div>${content}</div>`}</td>`;
  });
  return html`<tr role="row"><th scope="row" role="rowheader">${opened('image', index, referenceOf(image))}</th>${cells}</tr>
`;
}

/** Something that opens; the page's script puts in what belongs there, by the kind of list and the place in it. */
export function opened(list: string, at: number | string, summary: Html | string): Html {
  return html`<details data-list="${list}" data-at="${at}"><summary>${summary}</summary><p>Opening this needs JavaScript.</p></details>`;
}

export function referenceOf({ registry, repository, tag }: FleetImage): Html {
  return html`<small>${registry}/</small>${breakable(repository)}<b>:${tag}</b>`;
}

export function referenceList({ images }: FleetReport, indexes: readonly number[]): Html {
  const items = indexes.map((index) => html`<li>${breakable(images[index]?.image_ref ?? '')}</li>`);
  return html`<ul class="references">${items}</ul>`;
}

/** Breaks a line behind a slash rather than inside a word. */
export function breakable(name: string): Html[] {
  return name.split(/(?<=\/)/).map((part, index) => html`${index === 0 ? null : html`<wbr>`}${part}`);
}

const RUNG_WORDS: Readonly<Record<Rung, string>> = {
  stamped: 'stamp',
  sbom: 'SBOM',
  signed: 'signature',
  scanned: 'scan',
};

function evidenceOf(image: FleetImage): Html {
  const words = RUNGS.flatMap((rung) => {
    const reached = hasReached(image, rung);
    if (reached === null) return [];
    return reached ? [html`<li>${RUNG_WORDS[rung]}</li>`] : [html`<li class="gap">no ${RUNG_WORDS[rung]}</li>`];
  });
  return html`<ul class="words">${words}</ul>`;
}

/** Only what was scanned can be clean (docs/rules/reports.md#unknown-is-not-clean). */
function findingsOf({ findings, scanned_at }: FleetImage): Html {
  if (findings === null) {
    if (scanned_at !== null) return html`not counted`;
    return html`<span aria-hidden="true">–</span><span class="unseen">not scanned</span>`;
  }
  const found = SEVERITIES.filter((one) => findings[one] > 0);
  if (found.length === 0) return html`clean`;
  return html`<ul class="words">${found.map((one) => html`<li class="${one}">${formatCount(findings[one])} ${one}</li>`)}</ul>`;
}

function ageOf({ placed_at, scanned_at }: FleetImage, now: string): Html {
  return html`<ul class="words"><li>placed ${since(placed_at, now)}</li>${
    scanned_at === null ? null : html`<li>scanned ${since(scanned_at, now)}</li>`
  }</ul>`;
}

/** How long ago, with the time itself for machines and for whoever points at it. */
export function since(instant: string | null, now: string): Html {
  const ms = msBetween(instant, now);
  if (instant === null || ms === null) return html`at an unknown time`;
  return html`<time datetime="${instant}" title="${formatTime(instant)}">${formatSpan(ms)}</time> ago`;
}

export function waitOf(held: NonNullable<FleetImage['held']>, now: string): Html {
  const left = held.until === null ? null : msBetween(now, held.until);
  if (held.until === null || left === null) return html`no end known`;
  return html`<time datetime="${held.until}" title="${formatTime(held.until)}">${left <= 0 ? 'due now' : `${formatSpan(left)} left`}</time>`;
}

function stateOf({ held, pending_deletion: mark, running_in }: FleetImage, now: string): Html | null {
  const words = [
    ...(held === null ? [] : [html`<li><b>held</b>, ${waitOf(held, now)}</li>`]),
    ...(mark === null ? [] : [html`<li><b>pending deletion</b>, marked ${since(mark.since, now)}</li>`]),
    ...(running_in.length === 0 ? [] : [html`<li>runs in ${running_in.join(', ')}</li>`]),
  ];
  return words.length === 0 ? null : html`<ul class="words">${words}</ul>`;
}

/** What an image's row shows when it is opened: everything in full, and its packages. */
export function imageDetails(report: FleetReport, index: number): Html {
  const image = report.images[index];
  if (image === undefined) return html``;
  const { digest, platforms, base_name, base_digest, placed_at, scanned_at, held, pending_deletion: mark } = image;
  const inside = report.packages.flatMap(({ name, versions }) =>
    versions.flatMap(({ version, images }) => (images.includes(index) ? [html`<li>${name} ${version}</li>`] : [])),
  );
  const facts: readonly (readonly [string, string | null])[] = [
    ['Digest', digest],
    ['Platforms', platforms.join(', ') || null],
    ['Base', base_name],
    ['Base digest', base_digest],
    ['Placed', placed_at && formatTime(placed_at)],
    ['Scanned', scanned_at && formatTime(scanned_at)],
    ['Held', held === null ? null : `${held.reason}${held.until === null ? '' : ` (until ${formatTime(held.until)})`}`],
    [
      'Marked',
      mark === null ? null : `${formatTime(mark.since)}${mark.policy === null ? '' : ` by policy ${mark.policy}`}`,
    ],
    ['Packages', image.packages === null ? 'no inventory was read' : null],
  ];
  const told = facts.flatMap(([name, value]) => (value === null ? [] : [html`<dt>${name}</dt><dd>${value}</dd>`]));
  const packages =
    inside.length === 0
      ? null
      : html`<details><summary>${counted(image.packages ?? inside.length, 'package')}</summary><ul class="references">${inside}</ul></details>`;
  return html`<dl class="facts">${told}</dl>${packages}`;
}

function listed(words: readonly string[]): Html | null {
  return words.length === 0 ? null : html`<ul class="words">${words.map((word) => html`<li>${word}</li>`)}</ul>`;
}
