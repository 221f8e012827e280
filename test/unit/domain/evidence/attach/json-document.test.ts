import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LARGEST_DOCUMENT, parseJsonDocument } from '../../../../../domain/evidence/attach/json-document.js';
import { bytesOf } from './samples.js';

const read = (content: unknown) => parseJsonDocument(bytesOf(content), 'the report').value;
const nested = (depth: number) => `{"a":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}}`;

describe('a document', () => {
  it.each<[string, string | Uint8Array, RegExp]>([
    ['nothing', '', /is empty/],
    ['blanks', ' \n\t', /is empty/],
    ['a byte order mark alone', '\ufeff', /is empty/],
    ['words', 'no vulnerabilities found', /is not JSON/],
    ['a list', '[]', /is not a JSON object/],
    ['null', 'null', /is not a JSON object/],
    ['a text', '"runs"', /is not a JSON object/],
    ['an object that is cut off', '{"runs":[{"results":[', /cut off/],
    ['a text that is cut off', '{"runs":"[', /cut off/],
    ['a text that ends in an escape', '{"runs":"\\"', /cut off/],
    ['two documents', '{"runs":[]}{"runs":[]}', /is not JSON/],
    ['closed once too often', '{"runs":[]}}', /is not JSON/],
    ['a control character in a text', '{"a":"\u0001"}', /is not JSON/],
    ['nested a hundred and one deep', nested(101), /more than 100 deep/],
    ['nested for ever', '['.repeat(5_000_000), /more than 100 deep/],
    ['a name twice', '{"runs":[{"results":[1]}],"runs":[]}', /an object has "runs" twice/],
    ['a name twice, once escaped', '{"runs":[1], "r\\u0075ns" : []}', /an object has "runs" twice/],
    ['a name twice with a bad escape', '{"\\x":1,"\\x":2}', /twice/],
    ['too many values', `[${'0,'.repeat(4_000_001)}0]`, /more than 4000000 values/],
    ['too many names', `{${Array.from({ length: 100_001 }, (_, at) => `"${at}":0`).join(',')}}`, /100000 names/],
  ])('of %s is refused', (_, content, message) => {
    expect(() => read(content)).toThrowError(
      expect.objectContaining({ code: 'ReportInvalid', message: expect.stringMatching(message) }),
    );
  });

  it.each<[string, Uint8Array, RegExp, RegExp]>([
    ['gzip', Uint8Array.of(0x1f, 0x8b, 8, 0), /is compressed/, /gunzip/],
    ['UTF-16', Buffer.from('\ufeff{}', 'utf16le'), /UTF-16/, /PowerShell/],
    ['UTF-16 of the other order', Uint8Array.of(0xfe, 0xff, 0, 0x7b), /UTF-16/, /UTF-8/],
    ['UTF-16 without its mark', Buffer.from('{}', 'utf16le'), /UTF-16/, /UTF-8/],
    ['Latin-1', Buffer.from('{"a":"é"}', 'latin1'), /is not UTF-8/, /^$/],
    ['half a character', bytesOf('{"a":"é"}').slice(0, 7), /is not UTF-8/, /^$/],
    ['more than it may have', new Uint8Array(LARGEST_DOCUMENT + 1), /larger than 64 MiB/, /./],
  ])('in %s is refused, with what to do', (_, bytes, message, hint) => {
    let error: unknown;
    try {
      parseJsonDocument(bytes, 'the report');
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({ code: 'ReportInvalid', message: expect.stringMatching(message) });
    expect((error as { hint?: string }).hint ?? '').toMatch(hint);
  });

  it('may begin with a byte order mark, which is kept in what is attached and left out of what is signed', () => {
    const { value, bytes, json } = parseJsonDocument(bytesOf('\ufeff{"a":1}'), 'the report');
    expect(value).toEqual({ a: 1 });
    expect(new TextDecoder().decode(json)).toBe('{"a":1}');
    expect(bytes).toHaveLength(json.length + 3);
  });

  it('may be nested a hundred deep, and have a name once in each object', () => {
    expect(read(nested(100))).toHaveProperty('a');
    expect(read('{"a":{"a":[{"a":"a"},{"a":":"}]}}')).toEqual({ a: { a: [{ a: 'a' }, { a: ':' }] } });
  });

  it('of `__proto__` changes nothing but itself', () => {
    const value = read('{"__proto__":{"runs":[]},"constructor":{"prototype":{"runs":[]}}}');
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect(({} as Record<string, unknown>).runs).toBeUndefined();
  });

  it('is read as the parser reads it, or refused', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 5 })), (value) => {
        const text = JSON.stringify(value);
        expect(read(text)).toEqual(JSON.parse(text));
        expect(read(JSON.stringify(value, null, 2))).toEqual(JSON.parse(text));
      }),
    );
  });

  it('of any bytes is refused with a word about it, never a crash', () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), fc.string().map(bytesOf)), (bytes) => {
        try {
          parseJsonDocument(bytes, 'the report');
        } catch (error) {
          expect(error).toMatchObject({ code: 'ReportInvalid' });
        }
      }),
    );
  });
});
