import { readSuffix } from './suffix.js';
import type { TagVersion } from './tag-version.js';

const YEAR = '((?:19|20)\\d\\d)';
const MONTH = '(0[1-9]|1[0-2])';
const DAY = '(0[1-9]|[12]\\d|3[01])';
const TIME = '(?:[-._Tt]?([01]\\d|2[0-3])([0-5]\\d)([0-5]\\d)?)?';
const START = '(?<![\\dA-Za-z])v?';

/** The forms of a date, the most particular first. */
const DATES = [
  new RegExp(`${START}${YEAR}${MONTH}${DAY}${TIME}(?!\\d)`),
  new RegExp(`${START}${YEAR}${MONTH}(?!\\d)`),
  new RegExp(`${START}${YEAR}(?!\\d)`),
  /^v?(\d\d)(?=\.(?:0?[1-9]|1[0-2])(?!\d))/,
];

const TIME_OF_DAY = /^[Tt](\d\d)[-:.]?(\d\d)[-:.]?(\d\d)Z?/;
const MORE_NUMBERS = /^[-._](\d+)(?=$|[^\dA-Za-z]|[Tt]\d)/;

/** Reads the first date of a tag and the numbers behind it (docs/rules/selection.md#a-date-begins-with-its-year). */
export function readCalendarTag(tag: string): TagVersion | null {
  const date = firstDate(tag);
  if (date === null) return null;
  const numbers = date.slice(1).filter((part) => part !== undefined);
  let rest = tag.slice(date.index + date[0].length);
  for (;;) {
    const more = MORE_NUMBERS.exec(rest) ?? TIME_OF_DAY.exec(rest);
    if (more === null) break;
    numbers.push(...more.slice(1));
    rest = rest.slice(more[0].length);
  }
  const before = tag.slice(0, date.index).replace(/[-._]+$/, '');
  const suffix = readSuffix(rest);
  const flavour = [before, suffix.flavour].filter((part) => part !== '').join('-');
  return { ...suffix, numbers: withCentury(numbers), written: numbers, flavour };
}

/** Two-digit years are of this century. */
function withCentury(numbers: readonly string[]): readonly string[] {
  const [year = '', ...rest] = numbers;
  return [year.length === 2 ? `20${year}` : year, ...rest];
}

function firstDate(tag: string): RegExpExecArray | null {
  return DATES.reduce<RegExpExecArray | null>((first, form) => {
    const found = form.exec(tag);
    return found !== null && (first === null || found.index < first.index) ? found : first;
  }, null);
}
