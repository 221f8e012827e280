import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { escapeControls } from '../../../../domain/text/escape.js';
import { html, inertJson } from '../../../../domain/text/html.js';

/** What a browser shows of escaped text. */
function shown(markup: string): string {
  return markup.replace(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code)));
}

describe('a template of HTML', () => {
  it.each([
    ['a<b', 'a&#60;b'],
    [`"it's" & more`, '&#34;it&#39;s&#34; &#38; more'],
    ['&lt;', '&#38;lt;'],
    ['line\nbreak', 'line\\x0abreak'],
    ['\u202egnp.exe', '\\u{202e}gnp.exe'],
    [1_000, '1000'],
    [null, ''],
    [['a', html`<b>${'<'}</b>`, null], 'a<b>&#60;</b>'],
    [[], ''],
  ])('writes %o as %o', (part, text) => {
    expect(html`<p>${part}</p>`.text).toBe(`<p>${text}</p>`);
  });

  it('never lets a text become markup, nor leave the quotes of an attribute', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const { text: markup } = html`${text}`;
        expect(markup).not.toMatch(/[<>"']/);
        expect(shown(markup)).toBe(escapeControls(text));
      }),
    );
  });

  it('takes nothing for markup that only looks like it', () => {
    const forged = JSON.parse('{"text":"<img>"}');
    expect(() => html`${forged}`).toThrow(TypeError);
  });
});

describe('inert JSON', () => {
  it('says the same and has nothing that ends or opens a script', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = inertJson(value);
        expect(text).not.toMatch(/[<>&\u2028\u2029]/);
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
    expect(inertJson('</script>\u2028')).toBe('"\\u003c/script\\u003e\\u2028"');
  });
});
