import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { orderOf } from '../../../../domain/selection/order.js';
import { selectTags } from '../../../../domain/selection/select.js';
import { compareReadTags, sortByOrder } from '../../../../domain/selection/tag-version.js';
import { PUBLISHED, type PublishedCase } from './published-cases.js';

function answerOf({ order: name, ask, tags, range, ...row }: PublishedCase): PublishedCase['answer'] {
  const pattern = row.pattern ?? null;
  const order = orderOf({ order: name, includeRegex: pattern });
  const [first = '', second = ''] = tags;
  const [a, b] = [order.read(first), order.read(second)];
  switch (ask) {
    case 'reads':
      return a !== null;
    case 'final':
      return a?.prerelease === null;
    case 'comparable':
      return a !== null && b !== null && a.flavour === b.flavour;
    case 'newer':
      return (
        a !== null &&
        b !== null &&
        a.flavour === b.flavour &&
        compareReadTags(order, { tag: first, version: a }, { tag: second, version: b }) > 0
      );
    case 'ascending':
      return sortByOrder(order, tags);
    case 'newest': {
      const rules = { order: name, includeRegex: pattern, excludeRegex: [], semverOnly: true, names: [], aliases: [] };
      return selectTags(tags, { ...rules, newest: 1, semverRange: range ?? null }).selected[0] ?? null;
    }
  }
}

describe('what update bots and mirrors publish', () => {
  it('is at least 120 cases, from at least six of them', () => {
    expect(PUBLISHED.length).toBeGreaterThanOrEqual(120);
    expect(new Set(PUBLISHED.map(({ source }) => source.split(' ')[0])).size).toBeGreaterThanOrEqual(6);
  });

  it.each(PUBLISHED)('$source: $order, $ask $tags', (row) => {
    expect(answerOf(row)).toEqual(row.because === undefined ? row.answer : row.houba);
  });

  it('differs only where the docs say so', () => {
    const rules = readFileSync(new URL('../../../../docs/rules/selection.md', import.meta.url), 'utf8');
    const differences = PUBLISHED.flatMap(({ because }) => because ?? []);
    for (const difference of new Set(differences)) expect(rules.toLowerCase()).toContain(difference);
    for (const { because, answer, houba } of PUBLISHED) if (because !== undefined) expect(houba).not.toEqual(answer);
  });
});
