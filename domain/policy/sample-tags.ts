import { isTag } from '../reference.js';

const VERSIONS = ['1', '1.2', '1.2.3', '1.10.0', '2.0.0', '3.4.5', '7.2.4', '8.0.1', '16.4', '20', '24.04', '20240101'];
const USUAL = [...VERSIONS, ...VERSIONS.map((version) => `v${version}`), 'latest', '1.2.3-alpine', '16.4-bookworm'];

/** How many samples of one part of a pattern are followed up. */
const MOST = 12;

/** A character more than a tag may have. */
const LONGEST = 129;

/**
 * Tags that a source is likely to have: usual ones, and what the patterns spell. Only a guess, which may miss and may be
 * wrong: who asks matches them again.
 */
export function sampleTags(patterns: readonly string[]): string[] {
  const spelled = patterns.flatMap((source) => new Sampler(source).samples());
  return [...new Set([...USUAL, ...spelled])].filter(isTag);
}

/** Reads a pattern roughly: literals, classes, groups, alternatives; of a repetition one pass. */
class Sampler {
  private at = 0;
  constructor(private readonly source: string) {}

  samples(): string[] {
    return this.alternatives();
  }

  private alternatives(): string[] {
    const found = this.sequence();
    while (this.source[this.at] === '|') {
      this.at += 1;
      found.push(...this.sequence());
    }
    return found.slice(0, MOST);
  }

  private sequence(): string[] {
    let found = [''];
    while (this.at < this.source.length && !'|)'.includes(this.source[this.at] ?? '')) {
      const items = this.repeated(this.item());
      found = found.flatMap((head) => items.map((item) => (head + item).slice(0, LONGEST))).slice(0, MOST);
    }
    return found;
  }

  private item(): string[] {
    const [escaped] = /^\\./.exec(this.rest()) ?? [];
    if (escaped !== undefined) {
      this.at += 2;
      return [ESCAPES[escaped] ?? escaped.slice(1)];
    }
    const [list] = /^\[\^?\]?(?:\\.|[^\]])*\]/.exec(this.rest()) ?? [];
    if (list !== undefined) {
      this.at += list.length;
      return [firstOf(list)];
    }
    if (this.source[this.at] === '(') return this.group();
    const one = this.source[this.at] ?? '';
    this.at += 1;
    return [one === '^' || one === '$' ? '' : one === '.' ? '1' : one];
  }

  private group(): string[] {
    const [start = '('] = /^\((?:\?P?<\w+>|\?[a-zA-Z]*[:)])?/.exec(this.rest()) ?? [];
    this.at += start.length;
    if (start.endsWith(')')) return [''];
    const found = this.alternatives();
    this.at += 1;
    return found;
  }

  private repeated(items: string[]): string[] {
    const [mark] = /^(?:[*+?]|\{\d+(?:,\d*)?\})\??/.exec(this.rest()) ?? [];
    if (mark === undefined) return items;
    this.at += mark.length;
    if (mark.startsWith('+')) return items;
    if (!mark.startsWith('{')) return ['', ...items];
    const least = Math.min(Number.parseInt(mark.slice(1), 10), LONGEST);
    return items.map((item) => item.repeat(least).slice(0, LONGEST));
  }

  private rest(): string {
    return this.source.slice(this.at, this.at + 200);
  }
}

const ESCAPES: Readonly<Record<string, string>> = {
  '\\d': '1',
  '\\w': 'a',
  '\\s': ' ',
  '\\D': 'a',
  '\\W': '-',
  '\\S': 'a',
  '\\b': '',
  '\\B': '',
  '\\A': '',
  '\\z': '',
};

function firstOf(list: string): string {
  if (list.startsWith('[^')) return ['a', '1', '-', '.'].find((one) => !list.includes(one)) ?? '_';
  const inside = list.slice(1, -1);
  return inside.startsWith('\\') ? (ESCAPES[inside.slice(0, 2)] ?? inside.slice(1, 2)) : inside.slice(0, 1);
}
