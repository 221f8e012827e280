import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Digest } from '../../../../domain/digest.js';
import { buildStatement, digestSet } from '../../../../domain/evidence/statement.js';
import { digestFor } from '../../../support/durable-samples.js';

const TYPE = 'https://spdx.dev/Document';
const subject = { name: 'registry.example/lib/redis:7', digest: digestFor('index') };
const encode = (text: string) => new TextEncoder().encode(text);
const parse = (statement: Uint8Array) => JSON.parse(new TextDecoder().decode(statement));

describe('a statement', () => {
  it('is a complete in-toto statement with all its subjects', () => {
    const child = { name: `registry.example/lib/redis@${digestFor('child')}`, digest: digestFor('child') };
    expect(parse(buildStatement([subject, child], TYPE, { policy: 'redis' }))).toEqual({
      _type: 'https://in-toto.io/Statement/v1',
      subject: [
        { name: subject.name, digest: { sha256: subject.digest.slice(7) } },
        { name: child.name, digest: { sha256: child.digest.slice(7) } },
      ],
      predicateType: TYPE,
      predicate: { policy: 'redis' },
    });
  });

  it('takes a document in byte for byte', () => {
    const document = '{ "spdxVersion": "SPDX-2.3",\n  "name": "caf\u00e9", "big": 12345678901234567890 }';
    const statement = new TextDecoder().decode(buildStatement([subject], TYPE, encode(document)));
    expect(statement).toContain(`"predicate":${document}}`);
    expect(JSON.parse(statement).predicate).toEqual(JSON.parse(document));
  });

  it('is the same whether its predicate is a value or a document', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (predicate) => {
        const document = encode(JSON.stringify(predicate));
        expect(parse(buildStatement([subject], TYPE, document))).toEqual(
          parse(buildStatement([subject], TYPE, predicate)),
        );
      }),
    );
  });

  it.each([
    ['more than one value, which would add to the statement', '{}, "subject": [], "x": {}'],
    ['a value that is no object', '[{}]'],
    ['nothing', ''],
    ['null', 'null'],
    ['a byte order mark', '\ufeff{}'],
    ['something cut short', '{"a":'],
  ])('refuses a document that holds %s', (_, document) => {
    expect(() => buildStatement([subject], TYPE, encode(document))).toThrow(
      expect.objectContaining({ code: 'Unsupported' }),
    );
  });

  it('refuses a document that is not text', () => {
    const bytes = Uint8Array.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]);
    expect(() => buildStatement([subject], TYPE, bytes)).toThrow(/not JSON/);
  });
});

describe('a digest', () => {
  it('is written by its algorithm', () => {
    const long = `sha512:${'0'.repeat(128)}` as Digest;
    expect(digestSet(subject.digest)).toEqual({ sha256: subject.digest.slice(7) });
    expect(digestSet(long)).toEqual({ sha512: '0'.repeat(128) });
  });
});
