import { describe, expect, it } from 'vitest';
import { duration, outputOption, portNumber, wholeNumber } from '../../../../client/cli/options.js';

describe('values of options', () => {
  it.each([
    [wholeNumber(1), '8', 8],
    [wholeNumber(0), '0', 0],
    [portNumber, '65535', 65_535],
    [duration, '90s', 90_000],
    [duration, '2h', 7_200_000],
  ])('%o reads %s', (parse, text, value) => {
    expect(parse(text)).toBe(value);
  });

  it.each([
    [wholeNumber(1), '0'],
    [wholeNumber(0), '-1'],
    [wholeNumber(1), '1.5'],
    [wholeNumber(1), '0x10'],
    [wholeNumber(1), ''],
    [wholeNumber(1), '99999999999999999999'],
    [portNumber, '65536'],
    [portNumber, '0'],
    [duration, '0'],
    [duration, '5'],
    [duration, '25d'],
    [duration, 'soon'],
  ])('%o refuses %j', (parse, text) => {
    expect(() => parse(text)).toThrowError(expect.objectContaining({ code: 'commander.invalidArgument' }));
  });

  it('a format is text unless json is asked for', () => {
    expect(outputOption()).toMatchObject({ defaultValue: 'text', argChoices: ['text', 'json'] });
  });
});
