import { z } from 'zod';
import { durationMs } from '../domain/duration.js';
import { nearest } from '../domain/text/nearest.js';

// Schemas of the texts of variables. No message repeats a text, which may hold a password
// (docs/rules/security.md#messages-repeat-no-values).

/** true/false, 1/0, yes/no, on/off, in any case. */
export const Switch = z.string().transform((text, context) => {
  const word = text.trim().toLowerCase();
  if (['true', '1', 'yes', 'on'].includes(word)) return true;
  if (['false', '0', 'no', 'off'].includes(word)) return false;
  context.addIssue({ code: 'custom', message: 'must be true or false (also 1/0, yes/no, on/off)' });
  return z.NEVER;
});

export const Count = z.string().transform((text, context) => {
  const number = Number(text);
  if (/^\s*\d{1,9}\s*$/.test(text) && number >= 1) return number;
  context.addIssue({ code: 'custom', message: 'must be a whole number of at least 1' });
  return z.NEVER;
});

export const Share = z.string().transform((text, context) => {
  const number = text.trim() === '' ? Number.NaN : Number(text);
  if (number >= 0 && number <= 1) return number;
  context.addIssue({ code: 'custom', message: 'must be a number from 0 to 1' });
  return z.NEVER;
});

/** `7d`, `36h`, `30m`, `20s`, `0`; the value is in milliseconds. */
export const Duration = z.string().transform((text, context) => {
  const ms = durationMs(text.trim());
  if (ms !== null) return ms;
  context.addIssue({ code: 'custom', message: 'must be a duration such as 7d, 36h, 30m, 20s or 0' });
  return z.NEVER;
});

export function oneOf<const Word extends string>(...words: readonly Word[]) {
  return z.string().transform((text, context): Word => {
    const found = words.find((word) => word === text.trim().toLowerCase());
    if (found !== undefined) return found;
    context.addIssue({
      code: 'custom',
      message: `must be one of: ${words.map((word) => word || '(empty)').join(', ')}`,
    });
    return z.NEVER;
  });
}

/** Parses JSON. The parser's own message quotes the text, so that only the position is kept. */
export function json<Schema extends z.ZodType>(schema: Schema) {
  return z
    .string()
    .transform((text, context): unknown => {
      try {
        return JSON.parse(text);
      } catch (error) {
        const position = /position \d+/.exec(String(error))?.[0];
        context.addIssue({
          code: 'custom',
          message: `is not JSON${position === undefined ? '' : ` (at ${position})`}`,
        });
        return z.NEVER;
      }
    })
    .pipe(schema);
}

/** An object whose unknown keys are refused, with the nearest known one. */
export function strictObject<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  return z.strictObject(shape, {
    error: (issue) => {
      if (issue.code !== 'unrecognized_keys') return undefined;
      return (issue.keys as string[])
        .map((key) => {
          const meant = nearest(key, Object.keys(shape));
          return `unknown key ${JSON.stringify(key)}${meant === null ? '' : `; did you mean ${meant}?`}`;
        })
        .join('; ');
    },
  });
}
