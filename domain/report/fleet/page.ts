import { sha256 } from '@noble/hashes/sha2.js';
import { utf8ToBytes } from '@noble/hashes/utils.js';
import { type Html, html, inertJson } from '../../text/html.js';
import { formatTime } from './age.js';
import { counted, formatCount } from './distribution.js';
import { embedReport } from './embedded-report.js';
import type { FleetReport } from './fleet-report.js';
import { IMAGE_ORDERS } from './image-table.js';
import { coverageLadders, distributions, heldTags, notCovered, overview, pendingDeletions } from './overview.js';
import { FIRST_VIEW, type ResultList, resultsOf } from './results.js';

/** The page's own script and style sheet, as the build leaves them. */
export interface PageFiles {
  readonly script: string;
  readonly style: string;
}

/** Writes the report as one HTML file that asks nobody for anything (docs/rules/reports.md#the-page-asks-nobody). */
export function fleetPage(report: FleetReport, { script, style }: PageFiles): string {
  const policy = [
    "default-src 'none'",
    `script-src ${hashOf(script)}`,
    `style-src ${hashOf(style)}`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
  const head = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>Image fleet, ${formatTime(report.generated_at)}</title>
`;
  return `${head.text}<style>${style}</style>
</head>
${bodyOf(report).text}
<script type="application/json" id="report">${inertJson(embedReport(report))}</script>
<script>${script}</script>
</body>
</html>
`;
}

function hashOf(text: string): string {
  return `'sha256-${Buffer.from(sha256(utf8ToBytes(text))).toString('base64')}'`;
}

function bodyOf(report: FleetReport): Html {
  const everything = { images: report.images.map((_, index) => index), named: null };
  const { status, lists } = resultsOf(report, '', everything, FIRST_VIEW);
  const { answered, digests } = report.coverage;
  const list = (name: ResultList) => html`<div data-results="${name}">${lists[name]}</div>`;
  return html`<body>
<a class="skip" href="#find">Skip to the filter</a>
<svg class="pattern" aria-hidden="true"><defs><pattern id="hatch" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="2" height="5"/></pattern></defs></svg>
<header>
<h1>Image fleet</h1>
<p>${report.registries.join(', ')}<br>As of <time id="generated" datetime="${report.generated_at}">${formatTime(report.generated_at)}</time><span id="page-age"></span></p>
</header>
<main>
<section aria-labelledby="overview"><h2 id="overview">Overview</h2>
${overview(report)}
${distributions(report)}
</section>
<section aria-labelledby="coverage"><h2 id="coverage">Coverage by registry</h2>
${coverageLadders(report)}
</section>
<section aria-labelledby="exceptions"><h2 id="exceptions">Held, pending deletion, not covered</h2>
<div class="panels"><section class="panel">${heldTags(report)}</section><section class="panel">${pendingDeletions(report)}</section><section class="panel">${notCovered(report)}</section></div>
</section>
<section id="find" tabindex="-1" aria-labelledby="blast-radius"><h2 id="blast-radius">Blast radius</h2>
<noscript><p>The filter, and what opens below, need JavaScript. The JSON report has the same data.</p></noscript>
<form role="search" class="scripted">
<label for="filter">Filter</label><input id="filter" type="search" autocomplete="off" autocapitalize="none" spellcheck="false" aria-describedby="filter-help" aria-keyshortcuts="/">
<p class="status" role="status">${status}</p>
</form>
<p class="scripted aside" id="filter-help">Part of a name, owner, policy, tag, digest or package, such as xz-utils; xz-utils@5.6.1 is that package in a version. Every word has to match. The key / leads here, Escape clears. The address keeps the filter, to be shared.</p>
<nav class="scripted quick" aria-label="Common filters"><ul>${QUICK.map(
    ([word, label]) => html`<li><a href="#q=${encodeURIComponent(word)}">${label}</a></li>`,
  )}</ul></nav>
<div class="panels">
<section class="panel" aria-labelledby="by-base"><h3 id="by-base">Base images</h3>${list('base')}</section>
<section class="panel" aria-labelledby="by-owner"><h3 id="by-owner">Owners</h3>${list('owner')}</section>
<section class="panel" aria-labelledby="by-package"><h3 id="by-package">Packages</h3>
<p class="aside">Known for ${formatCount(answered)} of ${counted(digests, 'digest')}${answered < digests ? '; the others may have them too' : ''}.</p>${list('package')}</section>
</div>
<section class="panel wide" aria-labelledby="images"><h3 id="images">Images</h3>
<div class="order scripted"><label for="order">Order</label><select id="order">${Object.entries(IMAGE_ORDERS).map(
    ([order, label]) => html`<option value="${order}">${label}</option>`,
  )}</select></div>
${list('image')}</section>
</section>
</main>
<footer><p>Ages count from ${formatTime(report.generated_at)}. This file is complete: it loads nothing.</p></footer>`;
}

/** Words that the filter knows a state by. */
const QUICK: readonly (readonly [word: string, label: string])[] = [
  ['', 'All'],
  ['has:critical', 'Critical'],
  ['has:high', 'High'],
  ['no:scan', 'Not scanned'],
  ['no:stamp', 'No stamp'],
  ['no:sbom', 'No SBOM'],
  ['no:signature', 'No signature'],
  ['is:held', 'Held'],
  ['is:pending-deletion', 'Pending deletion'],
];
