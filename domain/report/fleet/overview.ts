import { SEVERITIES } from '../../evidence/severity.js';
import { type Html, html } from '../../text/html.js';
import { DAY_MS, msBetween } from './age.js';
import { bar, counted, distribution, formatCount, type Share } from './distribution.js';
import type { FleetImage, FleetReport, NotCovered } from './fleet-report.js';
import { referenceOf, since, waitOf } from './image-table.js';
import { type Ladder, ladderOf, laddersByRegistry, type RegistryLadder, RUNGS, type Rung } from './ladder.js';

/** Longer lists are closed at first. */
const MOST_OPEN = 10;

/** The few numbers that somebody opens the page for. */
export function overview({ images, registries, coverage }: FleetReport): Html {
  const repositories = new Set(images.map(({ registry, repository }) => `${registry}/${repository}`));
  const count = (holds: (image: FleetImage) => boolean) => formatCount(images.filter(holds).length);
  const tiles: readonly (readonly [name: string, value: string, note: string])[] = [
    [
      'Images',
      formatCount(images.length),
      `in ${counted(repositories.size, 'repository', 'repositories')} of ${counted(registries.length, 'registry', 'registries')}`,
    ],
    [
      'Critical or high',
      count(({ findings: found }) => found !== null && found.critical + found.high > 0),
      'images with such a finding',
    ],
    ['Not scanned', count(({ findings }) => findings === null), 'images of which nothing is known'],
    ['Held', count(({ held }) => held !== null), 'tags that wait for a newer digest'],
    ['Pending deletion', count(({ pending_deletion: mark }) => mark !== null), 'tags that are marked'],
    ['Packages known', formatCount(coverage.answered), `of ${counted(coverage.digests, 'digest')}`],
  ];
  const told = tiles.map(
    ([name, value, note]) => html`<div><dt>${name}</dt><dd><b>${value}</b> <small>${note}</small></dd></div>`,
  );
  return html`<dl class="tiles">${told}</dl>`;
}

/** The distributions of the whole fleet: evidence, findings, age. */
export function distributions(report: FleetReport): Html {
  const { images } = report;
  const tables = [
    rungTable('Evidence', ladderOf(images)),
    distribution('Worst finding', 'Severity', images.length, worstFindings(images)),
    distribution('Time in place', 'Since', images.length, ages(report)),
  ];
  return html`<div class="panels">${tables.map((table) => html`<div class="panel">${table}</div>`)}</div>`;
}

function worstFindings(images: readonly FleetImage[]): Share[] {
  const worst = images.map(({ findings }) =>
    findings === null ? 'not scanned' : (SEVERITIES.find((one) => findings[one] > 0) ?? 'clean'),
  );
  return [...SEVERITIES, 'clean', 'not scanned'].map((label) => ({
    label,
    count: worst.filter((one) => one === label).length,
  }));
}

const AGES: readonly (readonly [label: string, fromDays: number, toDays: number])[] = [
  ['less than 7 d', Number.NEGATIVE_INFINITY, 7],
  ['7 to 30 d', 7, 30],
  ['30 to 90 d', 30, 90],
  ['90 to 365 d', 90, 365],
  ['365 d or more', 365, Number.POSITIVE_INFINITY],
];

function ages({ images, generated_at }: FleetReport): Share[] {
  const all = images.map(({ placed_at }) => msBetween(placed_at, generated_at));
  const within = (from: number, to: number) =>
    all.filter((ms) => ms !== null && ms >= from * DAY_MS && ms < to * DAY_MS).length;
  return [
    ...AGES.map(([label, from, to]) => ({ label, count: within(from, to) })),
    { label: 'not known', count: all.filter((ms) => ms === null).length },
  ];
}

const RUNG_HEADS: Readonly<Record<Rung, string>> = {
  stamped: 'Stamped',
  sbom: 'SBOM',
  signed: 'Signed',
  scanned: 'Scanned',
};

function rungTable(caption: string, { images, rungs }: Ladder): Html {
  const shares = RUNGS.map((rung) => ({
    label: RUNG_HEADS[rung],
    count: rungs[rung].reached,
    unknown: rungs[rung].unknown,
  }));
  return distribution(caption, 'Rung', images, shares);
}

/** The ladder of each registry, then of each repository. */
export function coverageLadders(report: FleetReport): Html {
  const all = laddersByRegistry(report);
  const repositories = all.reduce((sum, one) => sum + one.repositories.length, 0);
  const registries = all.map(
    (
      one,
    ) => html`<section class="panel"><h3>${one.registry}</h3>${rungTable(counted(one.ladder.images, 'image'), one.ladder)}</section>
`,
  );
  const tables = all.map((one) => repositoryTable(one, repositories <= MOST_OPEN));
  return html`<div class="panels">${registries}</div>
<section class="panel wide"><h3>Repositories</h3>${tables}</section>`;
}

function repositoryTable({ registry, repositories }: RegistryLadder, open: boolean): Html {
  const rows = repositories.map(({ repository, ladder }) => {
    const cells = RUNGS.map((rung) => rungCell(ladder, rung));
    return html`<tr role="row"><th scope="row" role="rowheader">${repository}</th><td role="cell" class="n">${formatCount(ladder.images)}</td>${cells}</tr>
`;
  });
  const heads = ['Images', ...RUNGS.map((rung) => RUNG_HEADS[rung])];
  const summary = `${registry}: ${counted(repositories.length, 'repository', 'repositories')}`;
  return html`<details${openIf(open)}><summary>${summary}</summary>
<table class="ladders" role="table"><caption>Repositories of ${registry}</caption>
<thead role="rowgroup"><tr role="row"><th scope="col" role="columnheader">Repository</th>${heads.map(
    (head) => html`<th scope="col" role="columnheader" class="n">${head}</th>`,
  )}</tr></thead>
<tbody role="rowgroup">${rows}</tbody></table></details>
`;
}

function rungCell({ images, rungs }: Ladder, rung: Rung): Html {
  const { reached, unknown } = rungs[rung];
  const told =
    unknown === images
      ? html`<span aria-hidden="true">–</span><span class="unseen">unknown</span>`
      : formatCount(reached);
  const gap = reached + unknown < images ? ' gap' : '';
  return html`<td role="cell" class="n${gap}">${told}${bar(images, reached, unknown)}</td>`;
}

export function heldTags({ images, generated_at }: FleetReport): Html {
  const rows = images.flatMap((image) =>
    image.held === null ? [] : [longRow(referenceOf(image), image.held.reason, waitOf(image.held, generated_at))],
  );
  return longTable('Held tags', 'Wait', rows);
}

export function pendingDeletions({ images, generated_at }: FleetReport): Html {
  const rows = images.flatMap((image) => {
    const mark = image.pending_deletion;
    if (mark === null) return [];
    const policy = mark.policy === null ? null : `policy ${mark.policy}`;
    return [longRow(referenceOf(image), policy, since(mark.since, generated_at))];
  });
  return longTable('Tags pending deletion', 'Marked', rows);
}

const NOT_COVERED: Readonly<Record<NotCovered['reason'], string>> = {
  'no-stamp': 'no stamp',
  'no-sbom': 'no SBOM',
  unreadable: 'unreadable',
};

export function notCovered({ coverage }: FleetReport): Html {
  const rows = coverage.not_covered.map(({ image_ref, digest, reason, error }) =>
    longRow(image_ref, error === null ? digest : `${error.type}: ${error.message}`, NOT_COVERED[reason]),
  );
  const cut = coverage.not_covered_cut;
  return html`${longTable('Packages not known', 'Why', rows)}${
    cut === 0 ? null : html`<p>${formatCount(cut)} more are only counted.</p>`
  }`;
}

function longRow(image: Html | string, note: string | null, value: Html | string): Html {
  return html`<tr><th scope="row">${image}${note === null ? null : html`<small>${note}</small>`}</th><td>${value}</td></tr>
`;
}

function longTable(caption: string, head: string, rows: readonly Html[]): Html {
  if (rows.length === 0) return html`<h3>${caption}</h3><p class="aside">None.</p>`;
  return html`<h3>${caption}</h3><details${openIf(rows.length <= MOST_OPEN)}><summary>${counted(rows.length, 'image')}</summary>
<table class="long"><caption>${caption}</caption>
<thead><tr><th scope="col">Image</th><th scope="col">${head}</th></tr></thead>
<tbody>${rows}</tbody></table></details>
`;
}

function openIf(open: boolean): Html | null {
  return open ? html` open` : null;
}
