import { describe, expect, it } from 'vitest';
import { parseTagList } from '../../../../domain/policy/tag-list.js';

const utf8 = (text: string) => new TextEncoder().encode(text);
const read = (text: string) => parseTagList('tags', utf8(text));

describe('a list of tags', () => {
  it.each([
    ['an answer to tags/list', '{"name": "app", "tags": ["1", "2"]}'],
    ['two pages of it, one after the other', '{"name":"app","tags":["1"]}\n\n{"name":"app","tags":["2"]}\n'],
    ['two pages in a row', '{"name":"app","tags":["1"]}{"name":"app","tags":["2"]}'],
    ['two pages that jq has laid out', '{\n  "tags": [\n    "1"\n  ]\n}\n{\n  "tags": [\n    "2"\n  ]\n}\n'],
    ['names in quotes', '"1"\r\n"2",\n'],
    ['its bare list', ' ["1", "2", "2"]'],
    ['what skopeo prints', '{"Repository": "r.example/app", "Tags": ["1", "2"]}'],
    ['a list with null in it', '{"tags": ["1", null, "2", 3]}'],
    ['one tag a line', '1\n2\n'],
    ['lines of Windows, blank ones and spaces', '\r\n 1 \r\n\r\n\t2\r\n'],
    ['lines of an old Mac', '1\r2\r'],
    ['a byte order mark before lines', '\ufeff1\n2'],
    ['a byte order mark before JSON', '\ufeff{"tags":["1","2"]}'],
  ])('is read from %s', (_, text) => {
    expect(read(text)).toEqual({ tags: ['1', '2'], odd: [] });
  });

  it('is read from what PowerShell writes', () => {
    const bytes = Buffer.from('\ufeff1\r\n2\r\n', 'utf16le');
    expect(parseTagList('tags', bytes)).toEqual({ tags: ['1', '2'], odd: [] });
    expect(parseTagList('tags', bytes.swap16())).toEqual({ tags: ['1', '2'], odd: [] });
  });

  it.each(['', '\r\n\n', '[]', '[null]', '{"name":"app","tags":null}', '{"name":"app"}', '{"tags":null}'])(
    'may be empty: %j',
    (text) => {
      expect(read(text)).toEqual({ tags: [], odd: [] });
    },
  );

  it('keeps apart what is no tag, which no run reads', () => {
    const odd = ['.hidden', 'a b', 'x/y', '-', `v${'1'.repeat(128)}`, '\u0000', '1@sha256:0'];
    expect(read(JSON.stringify({ tags: ['1', ...odd, '', '2'] }))).toEqual({ tags: ['1', '2'], odd });
    expect(read('1\na b\n2')).toEqual({ tags: ['1', '2'], odd: ['a b'] });
  });

  it('may be as long as one that a run reads', () => {
    const tags = Array.from({ length: 200_000 }, (_, number) => `v${number}`);
    expect(read(tags.join('\n')).tags).toHaveLength(200_000);
    expect(() => read([...tags, 'more'].join('\n'))).toThrow('more than 200000 tags');
  });

  it.each([
    ['apiVersion: houba.io/v1alpha1\n', 'is not a tag, and no other name is'],
    ['{"tags": [', 'not valid JSON'],
    ['{"tags": ["1"]}\nand more', 'not valid JSON'],
    ['{"errors": [{"code": "UNAUTHORIZED"}]}', 'no list of tags in this JSON, but the error of a registry'],
    ['{"tags": {"1": {}}}', 'no list of tags in this JSON'],
    ['{"tags": [1, 2]}', 'a list of something else than names of tags'],
    ['[{"name": "1"}]', 'a list of something else than names of tags'],
  ])('is not %j', (text, message) => {
    const error = expect.objectContaining({ code: 'ConfigInvalid', message: expect.stringContaining(message) });
    expect(() => read(text)).toThrow(error);
  });
});
