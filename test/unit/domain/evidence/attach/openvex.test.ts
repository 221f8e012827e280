import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseVex } from '../../../../../domain/evidence/attach/attachment.js';
import { readOpenVex } from '../../../../../domain/evidence/attach/openvex.js';
import { bytesOf } from './samples.js';

const STATEMENT = {
  vulnerability: { name: 'CVE-2026-1' },
  status: 'not_affected',
  justification: 'component_not_present',
};
const DOCUMENT = {
  '@context': 'https://openvex.dev/ns/v0.2.0',
  '@id': 'https://example.org/vex/1',
  author: 'Security <sec@example.org>',
  timestamp: '2026-03-09T00:00:00Z',
  version: 1,
  statements: [STATEMENT],
};

describe('an OpenVEX document', () => {
  it('comes to its author and the number of its statements', () => {
    const statements = [STATEMENT, { ...STATEMENT, status: 'fixed' }, { vulnerability: 'CVE-2026-2', status: 'fixed' }];
    expect(readOpenVex({ ...DOCUMENT, author: 'a\u001bb', statements })).toEqual({
      author: 'a\\x1bb',
      facts: { statements: '3', not_affected: '1', affected: '0', fixed: '2', under_investigation: '0' },
    });
  });

  it.each<[string, unknown]>([
    ['no context', { ...DOCUMENT, '@context': undefined }],
    ['the context of something else', { ...DOCUMENT, '@context': 'https://openvex.dev/nsx' }],
    ['no id', { ...DOCUMENT, '@id': '' }],
    ['no author', { ...DOCUMENT, author: null }],
    ['a time that is no text', { ...DOCUMENT, timestamp: 7 }],
    ['no statements', { ...DOCUMENT, statements: undefined }],
    ['an empty list of statements', { ...DOCUMENT, statements: [] }],
    ['statements that are no list', { ...DOCUMENT, statements: { 0: STATEMENT } }],
    ['a statement that is none', { ...DOCUMENT, statements: [STATEMENT, null] }],
    ['a statement about nothing', { ...DOCUMENT, statements: [{ ...STATEMENT, vulnerability: {} }] }],
    ['a statement without a status', { ...DOCUMENT, statements: [{ ...STATEMENT, status: 'safe' }] }],
    ['a status of every object', { ...DOCUMENT, statements: [{ ...STATEMENT, status: '__proto__' }] }],
    ['runs', { runs: [{ results: [] }] }],
  ])('with %s is refused', (_, document) => {
    expect(() => parseVex(bytesOf(document))).toThrowError(expect.objectContaining({ code: 'ReportInvalid' }));
  });

  it('whatever it holds is read or refused', () => {
    const key = fc.constantFrom(
      '@context',
      '@id',
      'author',
      'timestamp',
      'statements',
      'vulnerability',
      'name',
      'status',
    );
    const change = fc.dictionary(key, fc.jsonValue());
    fc.assert(
      fc.property(change, change, (more, statement) => {
        try {
          const { facts } = readOpenVex({ ...DOCUMENT, statements: [{ ...STATEMENT, ...statement }], ...more });
          expect(Number(facts.statements)).toBeGreaterThan(0);
        } catch (error) {
          expect(error).toMatchObject({ code: 'ReportInvalid' });
        }
      }),
    );
  });
});
