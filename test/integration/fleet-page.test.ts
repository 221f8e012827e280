import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import axe from 'axe-core';
import { type Browser, type BrowserContextOptions, chromium, type Locator, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { readPageFiles } from '../../client/page-files.js';
import { programPath } from '../../config/programs.js';
import type { FleetImage, FleetReport } from '../../domain/report/fleet/fleet-report.js';
import { fleetPage } from '../../domain/report/fleet/page.js';
import { hostileFleet, sampleFleet } from '../support/fleet-samples.js';

const PHONE = { viewport: { width: 390, height: 844 } };
const DESK = { viewport: { width: 1440, height: 900 } };
const READY = 'performance.getEntriesByName("ready")[0]?.startTime';

const REPORT = sampleFleet({ images: 1_000, packagesEach: 300 });
/** What a program reads in the JSON. */
const JSON_REPORT: FleetReport = JSON.parse(JSON.stringify(REPORT));
const { images } = JSON_REPORT;

let folder = '';
let browser: Browser;
/** null: not on this machine; on Debian, `apt-get install chromium` brings it. */
const CHROMIUM = programPath('chromium');

let size = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'houba-page-'));
  const files = await readPageFiles();
  const page = fleetPage(REPORT, files);
  size = Buffer.byteLength(page);
  await writeFile(join(folder, 'fleet.html'), page);
  await writeFile(join(folder, 'small.html'), fleetPage(sampleFleet(), files));
  await writeFile(join(folder, 'hostile.html'), fleetPage(hostileFleet(), files));
  if (CHROMIUM === null) return;
  const quiet = ['background-networking', 'component-update', 'sync'].map((name) => `--disable-${name}`);
  // A user-data-dir of its own is what playwright gives each browser.
  const args = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', ...quiet];
  browser = await chromium.launch({ executablePath: CHROMIUM, headless: true, args });
});
afterAll(async () => {
  await browser?.close();
  await rm(folder, { recursive: true, force: true });
});

/** What pages asked for, refused or complained of; each test leaves it empty. */
let faults: string[] = [];
afterEach(() => {
  const seen = faults;
  faults = [];
  expect(seen).toEqual([]);
});

async function open(name: string, options: BrowserContextOptions = DESK): Promise<Page> {
  const url = pathToFileURL(join(folder, name)).href;
  const context = await browser.newContext(options);
  await context.route('**', (route) => {
    if (route.request().url().split('#')[0] === url) return route.continue();
    faults.push(`request ${route.request().url()}`);
    return route.abort();
  });
  const page = await context.newPage();
  page.on('console', (message) => faults.push(`console ${message.text()}`));
  page.on('pageerror', (error) => faults.push(`error ${error.message}`));
  page.on('dialog', (dialog) => {
    faults.push(`dialog ${dialog.message()}`);
    return dialog.dismiss();
  });
  await page.exposeFunction('refused', (what: string) => faults.push(`refused ${what}`));
  await page.addInitScript(
    'addEventListener("securitypolicyviolation", (event) => refused(event.violatedDirective + " " + event.blockedURI))',
  );
  await page.goto(url);
  // The page has loaded, so its script has run.
  if (options.javaScriptEnabled !== false) expect(await page.evaluate(READY)).toBeGreaterThan(0);
  return page;
}

/** The rows of a table with a name and a number each. */
async function sharesIn(table: Locator): Promise<[name: string, count: number][]> {
  const rows = await table.locator('tbody tr').allInnerTexts();
  return rows.map((row) => {
    const [, name = '', count = ''] = /^\s*(.*?)\s*\t\s*([\d,]+)/s.exec(row) ?? [];
    return [name.replace(/\s+/g, ' '), Number(count.replaceAll(',', ''))];
  });
}

function countOf(holds: (image: FleetImage) => boolean): number {
  return images.filter(holds).length;
}

/** Counts by key, in the order of the page. */
function tally(keys: readonly string[]): [string, number][] {
  const counts = new Map<string, number>();
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1);
  return [...counts].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
}

function shortened(digest: string | null): string {
  return digest === null ? 'no base recorded' : digest.slice(0, 19);
}

/** Indexes of the images that have a package, by the JSON alone. */
function having(name: string, version: RegExp = /^/): Set<number> {
  const found = JSON_REPORT.packages.filter((one) => one.name === name).flatMap(({ versions }) => versions);
  return new Set(found.filter((one) => version.test(one.version)).flatMap((one) => one.images));
}

describe.skipIf(CHROMIUM === null)('the page of 1,000 images with 300 packages', () => {
  it('is one file of at most 2 MB', () => {
    expect(size).toBeLessThan(2_000_000);
  });

  it('shows the same numbers as the JSON', async () => {
    const page = await open('fleet.html');
    const tiles = await page.locator('.tiles b').allInnerTexts();
    expect(tiles.map((text) => Number(text.replaceAll(',', '')))).toEqual([
      images.length,
      countOf(({ findings }) => findings !== null && findings.critical + findings.high > 0),
      countOf(({ findings }) => findings === null),
      countOf(({ held }) => held !== null),
      countOf(({ pending_deletion }) => pending_deletion !== null),
      JSON_REPORT.coverage.answered,
    ]);
    const rungs = (some: readonly FleetImage[]) => [
      ['Stamped', some.filter(({ stamped }) => stamped).length],
      ['SBOM', some.filter(({ sbom }) => sbom).length],
      ['Signed', some.filter(({ signed }) => signed).length],
      ['Scanned', some.filter(({ scanned_at }) => scanned_at !== null).length],
    ];
    expect(await sharesIn(page.getByRole('table', { name: 'Evidence' }))).toEqual(rungs(images));
    for (const registry of JSON_REPORT.registries) {
      const panel = page.locator('section.panel').filter({ has: page.getByRole('heading', { name: registry }) });
      expect(await sharesIn(panel.locator('table'))).toEqual(rungs(images.filter((one) => one.registry === registry)));
    }
    expect(await sharesIn(page.getByRole('table', { name: 'Worst finding' }))).toEqual([
      ['critical', countOf(({ findings: f }) => f !== null && f.critical > 0)],
      ['high', countOf(({ findings: f }) => f !== null && f.critical === 0 && f.high > 0)],
      ['medium', countOf(({ findings: f }) => f !== null && f.critical + f.high === 0 && f.medium > 0)],
      ['low', countOf(({ findings: f }) => f !== null && f.critical + f.high + f.medium === 0 && f.low > 0)],
      [
        'unknown',
        countOf(({ findings: f }) => f !== null && f.critical + f.high + f.medium + f.low === 0 && f.unknown > 0),
      ],
      ['clean', countOf(({ findings: f }) => f !== null && Object.values(f).every((count) => count === 0))],
      ['not scanned', countOf(({ findings }) => findings === null)],
    ]);
    const ages = await sharesIn(page.getByRole('table', { name: 'Time in place' }));
    expect(ages.reduce((sum, [, count]) => sum + count, 0)).toBe(images.length);
    expect(ages.at(-1)).toEqual(['not known', countOf(({ placed_at }) => placed_at === null)]);
    await page.context().close();
  });

  it('shows each repository, held tag, mark and gap of the JSON', async () => {
    const page = await open('fleet.html');
    for (const summary of await page.locator('main details:not([data-list]) > summary').all()) await summary.click();
    for (const registry of JSON_REPORT.registries) {
      const own = images.filter((one) => one.registry === registry);
      const rows = await sharesIn(page.getByRole('table', { name: `Repositories of ${registry}` }));
      expect(new Map(rows)).toEqual(new Map(tally(own.map(({ repository }) => repository))));
    }
    const named = async (name: string) => {
      const cells = await page.getByRole('table', { name }).locator('tbody th').allInnerTexts();
      return cells.map((text) => text.split('\n')[0]);
    };
    const references = (some: readonly { image_ref: string }[]) => some.map(({ image_ref }) => image_ref);
    expect(await named('Held tags')).toEqual(references(images.filter(({ held }) => held !== null)));
    expect(await named('Tags pending deletion')).toEqual(
      references(images.filter((one) => one.pending_deletion !== null)),
    );
    expect(await named('Packages not known')).toEqual(references(JSON_REPORT.coverage.not_covered));
    await page.context().close();
  });

  it('has every base digest, owner, package and image of the JSON when all are shown', async () => {
    const page = await open('fleet.html');
    const whole = async (heading: string) => {
      const panel = page
        .locator('section.panel')
        .filter({ has: page.getByRole('heading', { name: heading, exact: true }) });
      const button = panel.getByRole('button', { name: /^Show all/ });
      if ((await button.count()) > 0) await button.click();
      return panel.locator('table');
    };
    const bases = await sharesIn(await whole('Base images'));
    const counted = bases.map(([name, count]) => [name.split(' ').at(name.startsWith('no ') ? 0 : -1), count]);
    const expected = tally(images.map(({ base_digest }) => shortened(base_digest)));
    expect(new Map(counted as [string, number][])).toEqual(
      new Map(expected.map(([name, count]) => [name.split(' ')[0] ?? '', count])),
    );
    const owners = images.flatMap((one) => (one.owners.length === 0 ? ['no owner'] : one.owners));
    expect(new Map(await sharesIn(await whole('Owners')))).toEqual(new Map(tally(owners)));
    const packages = (await sharesIn(await whole('Packages'))).map(([name, count]) => [name.split(' ')[0], count]);
    expect(packages).toHaveLength(JSON_REPORT.packages.length);
    for (const [name, count] of packages) expect([name, having(`${name}`).size]).toEqual([name, count]);
    const rows = await (await whole('Images')).locator('tbody > tr > th').allInnerTexts();
    expect(rows.map((row) => row.trim()).sort()).toEqual(images.map(({ image_ref }) => image_ref).sort());
    await page.context().close();
  });

  it('is filtered, opened and cleared by keyboard', async () => {
    const page = await open('fleet.html');
    const status = page.getByRole('status');
    await page.keyboard.press('/');
    await page.keyboard.type('xz-utils@5.1');
    const hit = having('xz-utils', /^5\.1\b/);
    expect(hit.size).toBeGreaterThan(10);
    expect(await status.innerText()).toBe(`${hit.size} of 1,000 images for “xz-utils@5.1”`);
    const packages = page.getByRole('table', { name: 'By package' });
    expect(await sharesIn(packages)).toEqual([['xz-utils deb, 1 version', hit.size]]);
    const owners = images.flatMap((one, index) => (hit.has(index) ? one.owners : []));
    expect(await sharesIn(page.getByRole('table', { name: 'By owner' }))).toEqual(tally(owners).slice(0, 10));

    await packages.locator('summary').first().focus();
    await page.keyboard.press('Enter');
    await packages.locator('.versions summary').waitFor();
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    const references = packages.locator('.references li');
    await references.first().waitFor();
    expect((await references.allInnerTexts()).sort()).toEqual([...hit].map((index) => images[index]?.image_ref).sort());

    await page.keyboard.press('/');
    await page.keyboard.press('End');
    await page.keyboard.type(' edge.example');
    const both = [...hit].filter((index) => images[index]?.registry === 'edge.example');
    expect(await status.innerText()).toContain(`${both.length} of 1,000 images`);
    await page.keyboard.press('Escape');
    expect(await status.innerText()).toBe('1,000 images');
    expect(await page.getByRole('searchbox').inputValue()).toBe('');
    await page.context().close();
  });

  it('keeps filter and order in its address, and takes them from there', async () => {
    const page = await open('fleet.html');
    await page.getByRole('searchbox').fill('has:critical & <b>');
    await page.getByRole('combobox').selectOption('age');
    const shared = page.url();
    expect(shared).toMatch(/#q=has%3Acritical\+%26\+%3Cb%3E&sort=age$/);
    await page.goto('about:blank');
    await page.goto(shared.replace(/#.*/, '#q=has:critical+edge.example&sort=age'));
    const wanted = images.filter((one) => one.registry === 'edge.example' && (one.findings?.critical ?? 0) > 0);
    expect(await page.getByRole('status').innerText()).toContain(`${wanted.length} of 1,000 images`);
    expect(await page.getByRole('combobox').inputValue()).toBe('age');
    await page.getByRole('link', { name: 'Held' }).click();
    const held = countOf((one) => one.held !== null);
    await page.getByText(`${held} of 1,000 images for “is:held”`).waitFor();
    await page.goBack();
    await page.getByText(`${wanted.length} of 1,000 images`).waitFor();
    await page.context().close();
  });

  it('goes on at the first new row when all are shown', async () => {
    const page = await open('fleet.html');
    await page.getByRole('button', { name: 'Show all 1,000' }).press('Enter');
    const rows = page.getByRole('table', { name: 'Images', exact: true }).locator('tbody > tr');
    expect(await rows.count()).toBe(1_000);
    expect(await rows.nth(30).locator('summary:focus').count()).toBe(1);
    await page.context().close();
  });

  it('shows its numbers and tables without JavaScript, and no control that would do nothing', async () => {
    const page = await open('fleet.html', { ...DESK, javaScriptEnabled: false });
    const evidence = await sharesIn(page.getByRole('table', { name: 'Evidence' }));
    expect(evidence[0]).toEqual(['Stamped', countOf(({ stamped }) => stamped === true)]);
    expect(await page.getByRole('table', { name: 'By owner' }).locator('tbody tr').count()).toBe(10);
    expect(await page.getByRole('searchbox').isVisible()).toBe(false);
    expect(await page.getByRole('button').first().isVisible()).toBe(false);
    expect(await page.locator('noscript').count()).toBe(1);
    await page.context().close();
  });

  it('has its tables printed open, without controls', async () => {
    const page = await open('fleet.html');
    await page.emulateMedia({ media: 'print' });
    expect(await page.getByRole('searchbox').isVisible()).toBe(false);
    expect(await page.getByText('1,000 images', { exact: true }).isVisible()).toBe(true);
    expect(await page.getByRole('table', { name: 'Held tags' }).isVisible()).toBe(true);
    await page.context().close();
  });

  it.each([
    ['a phone', PHONE],
    ['a desk', DESK],
  ])('is not scrolled sideways on %s, whatever is open', async (_, options) => {
    const page = await open('fleet.html', options);
    await page.evaluate('for (const one of document.querySelectorAll("details")) one.open = true');
    await page.locator('.facts').first().waitFor();
    await page.evaluate('for (const one of document.querySelectorAll("details")) one.open = true');
    const width = await page.evaluate('document.documentElement.scrollWidth');
    expect(width).toBe(options.viewport.width);
    await page.context().close();
  });

  it('is light or dark as the reader has it', async () => {
    const grounds: unknown[] = [];
    for (const colorScheme of ['light', 'dark'] as const) {
      const page = await open('fleet.html', { ...PHONE, colorScheme });
      grounds.push(await page.evaluate('getComputedStyle(document.body).backgroundColor'));
      await page.context().close();
    }
    expect(grounds).toEqual(['rgb(246, 247, 249)', 'rgb(17, 21, 27)']);
  });

  it('is ready in time on a processor four times as slow', async () => {
    const page = await open('fleet.html', PHONE);
    const session = await page.context().newCDPSession(page);
    await session.send('Emulation.setCPUThrottlingRate', { rate: 4 });
    await page.reload();
    // 0.6 to 1 s on two busy cores; the bound only finds what has become many times as slow.
    expect(await page.evaluate(READY)).toBeLessThan(8_000);
    await page.context().close();
  });
});

describe.skipIf(CHROMIUM === null)('accessibility', () => {
  it.each([
    ['a phone', 'light', PHONE],
    ['a phone', 'dark', PHONE],
    ['a desk', 'light', DESK],
    ['a desk', 'dark', DESK],
  ] as const)('has no fault that axe finds on %s in the %s', async (_, colorScheme, options) => {
    // axe puts styles of its own into the page, which the page's policy would refuse.
    const page = await open('small.html', { ...options, colorScheme, bypassCSP: true });
    await page.getByRole('searchbox').fill('xz-utils');
    for (const list of ['base', 'owner', 'package', 'image']) {
      await page.locator(`[data-results=${list}] summary`).first().click();
    }
    await page.locator('.facts').waitFor();
    await page.evaluate('for (const one of document.querySelectorAll("details:not([data-list])")) one.open = true');
    await page.evaluate(axe.source);
    const found = (await page.evaluate('axe.run()')) as axe.AxeResults;
    expect(found.violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html} ${nodes[0]?.failureSummary}`)).toEqual([]);
    expect(found.passes.length).toBeGreaterThan(20);
    await page.context().close();
  });
});

describe.skipIf(CHROMIUM === null)('hostile names', () => {
  it('stay text, wherever they are shown, filtered and opened', async () => {
    const page = await open('hostile.html');
    for (const text of ['', '</script><img', 'javascript:alert', '"><svg', '__proto__']) {
      await page.getByRole('searchbox').fill(text);
      await page.evaluate('for (const one of document.querySelectorAll("details")) one.open = true');
      await page.locator('.facts').first().waitFor();
      await page.evaluate('for (const one of document.querySelectorAll("details")) one.open = true');
      await page.locator('.versions .references').first().waitFor();
      expect(await page.locator('img, iframe, textarea, svg[onload], [onfocus], [autofocus]').count()).toBe(0);
      expect(await page.locator('script').count()).toBe(2);
      expect(await page.locator('a:not([href^="#"])').count()).toBe(0);
    }
    expect(
      await page.locator('tbody th').filter({ hasText: '</script><img src=x onerror=alert(1)>' }).count(),
    ).toBeGreaterThan(0);
    await page.context().close();
  });

  it('in an address are a filter like any other', async () => {
    const page = await open('hostile.html');
    const attack = encodeURIComponent('<img src=x onerror=alert(1)>');
    await page.goto('about:blank');
    await page.goto(`${pathToFileURL(join(folder, 'hostile.html')).href}#q=${attack}&sort=__proto__`);
    expect(await page.getByRole('searchbox').inputValue()).toBe('<img src=x onerror=alert(1)>');
    expect(await page.getByRole('combobox').inputValue()).toBe('findings');
    expect(await page.locator('img').count()).toBe(0);
    await page.context().close();
  });
});
