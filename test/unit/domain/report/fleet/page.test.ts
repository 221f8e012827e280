import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { readEmbedded } from '../../../../../domain/report/fleet/embedded-report.js';
import type { FleetReport } from '../../../../../domain/report/fleet/fleet-report.js';
import { fleetPage } from '../../../../../domain/report/fleet/page.js';
import { fleetImage, fleetReport, hostileFleet, sampleFleet } from '../../../../support/fleet-samples.js';

const FILES = { script: 'console.log("é")', style: 'body{margin:0}' };
const SAMPLE = sampleFleet();
const PAGE = fleetPage(SAMPLE, FILES);

function embeddedIn(page: string): FleetReport {
  const [, json = ''] = /<script type="application\/json" id="report">(.*?)<\/script>/s.exec(page) ?? [];
  return readEmbedded(JSON.parse(json));
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('base64');
}

describe('the page of the fleet', () => {
  it('refuses every request, and every script and style but its own', () => {
    const [, policy] = /http-equiv="Content-Security-Policy" content="(.*?)"/.exec(PAGE) ?? [];
    expect(policy?.replaceAll('&#39;', "'").split('; ')).toEqual([
      "default-src 'none'",
      `script-src 'sha256-${hashOf(FILES.script)}'`,
      `style-src 'sha256-${hashOf(FILES.style)}'`,
      "base-uri 'none'",
      "form-action 'none'",
    ]);
    expect(PAGE.indexOf('Content-Security-Policy')).toBeLessThan(PAGE.indexOf('<style>'));
    expect(PAGE).not.toMatch(/ (?:src|srcset|style|action|on[a-z]+)=/);
    expect(PAGE).not.toMatch(/ href="(?!#)/);
  });

  it('has the data of the JSON', () => {
    expect(embeddedIn(PAGE)).toEqual(SAMPLE);
  });

  it('says the same twice for the same report', () => {
    expect(fleetPage(sampleFleet(), FILES)).toBe(PAGE);
  });

  it('takes at most 2 MB for 1,000 images of 300 packages', () => {
    const large = sampleFleet({ images: 1_000, packagesEach: 300 });
    const pairs = large.packages
      .flatMap(({ versions }) => versions)
      .reduce((sum, { images }) => sum + images.length, 0);
    expect(pairs).toBeGreaterThan(270_000);
    // Script and style sheet are not in it; the test that opens the page measures all.
    expect(Buffer.byteLength(fleetPage(large, FILES))).toBeLessThan(1_500_000);
  });

  it('has headings without a gap, one place for each id, and a label for each field', () => {
    const levels = Array.from(PAGE.matchAll(/<h([1-6])/g), ([, level]) => Number(level));
    expect(levels[0]).toBe(1);
    levels.forEach((level, index) => {
      expect(level).toBeLessThanOrEqual((levels[index - 1] ?? 0) + 1);
    });
    const ids = Array.from(PAGE.matchAll(/ id="(.*?)"/g), ([, id = '']) => id);
    expect(new Set(ids).size).toBe(ids.length);
    const named = Array.from(PAGE.matchAll(/ (?:for|aria-labelledby|aria-describedby)="(.*?)"/g), ([, id]) => id);
    expect(ids).toEqual(expect.arrayContaining(named));
    expect(PAGE).toContain('<html lang="en">');
  });

  it('says what is not known: images that nobody could read, and more of them', () => {
    const report = fleetReport([fleetImage({ digest: 'sha256:a', placed_at: null })]);
    const error = { type: 'Denied', message: 'no <pull>', exit_code: 2 };
    const page = fleetPage(
      {
        ...report,
        coverage: {
          ...{ digests: 9, answered: 1, not_covered_cut: 4_321 },
          not_covered: [
            { image_ref: 'registry.example/a:1', digest: null, reason: 'unreadable', error },
            { image_ref: 'registry.example/a:2', digest: 'sha256:2', reason: 'no-sbom', error: null },
          ],
        },
      },
      FILES,
    );
    expect(page).toContain('registry.example/a:1<small>Denied: no &#60;pull&#62;</small></th><td>unreadable</td>');
    expect(page).toContain('registry.example/a:2<small>sha256:2</small></th><td>no SBOM</td>');
    expect(page).toContain('4,321 more are only counted');
    expect(page).toContain('Known for 1 of 9 digests; the others may have them too.');
  });

  it('can be empty', () => {
    const page = fleetPage(fleetReport([]), FILES);
    expect(page).toContain('<b>0</b>');
    expect(page).not.toContain('NaN');
    expect(page).not.toContain('undefined');
  });
});

describe('hostile names', () => {
  const page = fleetPage(hostileFleet(), FILES);

  it('open no tag and end none', () => {
    for (const tag of ['img', 'iframe', 'textarea']) expect(page).not.toMatch(new RegExp(`</?${tag}`));
    expect(page.match(/<script/g)).toHaveLength(2);
    expect(page.match(/<\/script/g)).toHaveLength(2);
    expect(page.match(/<\/style/g)).toHaveLength(1);
    expect(page).not.toMatch(/<!--|<svg onload/);
  });

  it('make no attribute: each tag has those that the page gives it', () => {
    const tags = page.replace(/<script type.*?<\/script>/s, '').match(/<[a-z][^>]*>/g) ?? [];
    const attributes = new Set(tags.flatMap((tag) => Array.from(tag.matchAll(/ ([a-zA-Z-]+)="/g), ([, name]) => name)));
    const ordinary = new Set(Array.from(PAGE.matchAll(/ ([a-zA-Z-]+)="/g), ([, name]) => name));
    expect([...attributes].filter((name) => !ordinary.has(name))).toEqual([]);
    expect(page).not.toContain('href="javascript');
  });

  it('are data like any other', () => {
    const { images, packages } = hostileFleet();
    expect(JSON.stringify(embeddedIn(page))).toBe(JSON.stringify({ ...hostileFleet(), images, packages }));
  });
});
