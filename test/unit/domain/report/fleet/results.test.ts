import { describe, expect, it } from 'vitest';
import { imageFilter } from '../../../../../domain/report/fleet/image-filter.js';
import { FIRST_VIEW, RESULT_LISTS, resultsOf } from '../../../../../domain/report/fleet/results.js';
import { fleetImage, fleetReport, sampleFleet } from '../../../../support/fleet-samples.js';

const SAMPLE = sampleFleet({ images: 200, packagesEach: 30 });
const matching = imageFilter(SAMPLE);

function show(text: string, view = FIRST_VIEW) {
  return resultsOf(SAMPLE, text, matching(text), view);
}

function rowsIn(markup: string): number {
  return markup.match(/<th scope="row"/g)?.length ?? 0;
}

describe('what the filter leaves over', () => {
  it('is told in a sentence', () => {
    expect(show(' ').status).toBe('200 images');
    expect(show('xz-utils@5').status).toMatch(/^\d+ of 200 images for “xz-utils@5”$/);
    expect(show('nothing').status).toBe('None of 200 images for “nothing”');
    const one = fleetReport([fleetImage()]);
    expect(resultsOf(one, '', imageFilter(one)(''), FIRST_VIEW).status).toBe('1 image');
  });

  it('begins with so many rows, and has all of them when somebody asks', () => {
    const { lists } = show('');
    expect(RESULT_LISTS.map((list) => rowsIn(lists[list].text))).toEqual([10, 10, 10, 30]);
    expect(lists.image.text).toContain(
      '30 of 200. <button type="button" class="scripted" data-all="image">Show all 200',
    );
    const whole = show('', { ...FIRST_VIEW, whole: new Set(['image', 'package']) }).lists;
    expect(RESULT_LISTS.map((list) => rowsIn(whole[list].text))).toEqual([10, 10, 40, 200]);
    expect(whole.image.text).not.toContain('data-all');
  });

  it('says so where nothing is left', () => {
    const { lists } = show('nothing');
    for (const list of RESULT_LISTS) expect(lists[list].text).toBe('<p class="aside">None.</p>');
  });

  it('opens base digests, owners and versions to references, packages to versions, images to details', () => {
    const results = show('xz-utils@5.1');
    const { images } = matching('xz-utils@5.1');
    const references = (markup: string) => Array.from(markup.matchAll(/<li>(.*?)<\/li>/g), ([, item = '']) => item);
    expect(results.open('package', '0').text).toContain(`5.1.1-1: ${images.length} images`);
    const plain = references(results.open('version', '0.0').text).map((item) => item.replaceAll('<wbr>', ''));
    expect(plain).toEqual(images.map((index) => SAMPLE.images[index]?.image_ref));
    expect(references(results.open('owner', '0').text).length).toBeGreaterThan(0);
    expect(results.open('base', '0').text).toMatch(/sha256:[0-9a-f]{64}/);
    expect(results.open('image', `${images[0]}`).text).toContain(SAMPLE.images[images[0] ?? -1]?.digest);
  });

  it.each(['package', 'version', 'base', 'owner', 'image'])('opens no %s that is not there', (list) => {
    expect(show('nothing').open(list, '999.7').text).toBe('');
  });
});

describe('a base digest', () => {
  it('goes by its names', () => {
    const base = (base_name: string | null, tag: string) => fleetImage({ tag, base_name });
    const named = (...images: ReturnType<typeof base>[]) => {
      const report = fleetReport(images);
      return resultsOf(report, '', imageFilter(report)(''), FIRST_VIEW).lists.base.text;
    };
    expect(named(base('debian:12', '1'), base('debian:12', '2'))).toContain('>debian:12 <small>sha256:');
    expect(named(base('debian:12', '1'), base('debian:bookworm', '2'))).toContain(
      '>debian:12 and 1 other name <small>',
    );
    expect(named(base(null, '1'))).toMatch(/<summary> <small>sha256:[0-9a-f]{12}</);
    expect(named(fleetImage({ base_digest: null }))).toContain('no base recorded');
  });
});
