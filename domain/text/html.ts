import { escapeControls } from './escape.js';

class Markup {
  constructor(readonly text: string) {}
}

/** Markup that nothing from outside has become a part of; only `html` makes it. */
export type Html = Markup;

type Part = string | number | null | Html | readonly Part[];

/**
 * Fills a template of HTML: strings become text or the value of a quoted attribute, never markup
 * (docs/rules/reports.md#names-never-become-markup). null leaves nothing, a list stands one after the other.
 */
export function html(template: TemplateStringsArray, ...parts: readonly Part[]): Html {
  return new Markup(template.map((text, index) => text + textOf(parts[index] ?? null)).join(''));
}

function textOf(part: Part): string {
  if (part === null) return '';
  if (part instanceof Markup) return part.text;
  if (typeof part === 'object') return part.map(textOf).join('');
  return escapeControls(String(part)).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** Writes JSON that no HTML parser takes for anything but text; `JSON.parse` reads it back as it was. */
export function inertJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
