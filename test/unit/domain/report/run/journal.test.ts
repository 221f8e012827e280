import { describe, expect, it } from 'vitest';
import { failedLine, operationLine } from '../../../../../domain/report/run/journal.js';
import { newOperation } from '../../../../../domain/report/run/run-report.js';

const WHOSE = { policy: 'redis', dest: 'registry.example/lib/redis', variant: 'default' };
const OPERATION = { ...newOperation('imported', '7.2.0'), src_tag: '7.2.0', digest: 'sha256:0123' };

describe('a line of the journal', () => {
  it('names policy, destination and operation first, then what the caller adds, in that order', () => {
    const details = { applied: true, out_digest: 'sha256:4567', reason: 'it stood still' };
    expect(JSON.stringify(operationLine(WHOSE, OPERATION, details))).toBe(
      '{"policy":"redis","dest":"registry.example/lib/redis","variant":"default","kind":"imported","out_tag":"7.2.0",' +
        '"src_tag":"7.2.0","digest":"sha256:0123","applied":true,"out_digest":"sha256:4567","reason":"it stood still"}',
    );
  });

  it('has no key without a value', () => {
    const line = operationLine(WHOSE, OPERATION, { reason: undefined, transform_steps: undefined, ready_at: null });
    expect(Object.keys(line).slice(7)).toEqual(['ready_at']);
  });

  it('of a failure says code, message and, where it is known, exit code', () => {
    const line = operationLine(WHOSE, OPERATION, { applied: false });
    expect(Object.entries(failedLine(line, { type: 'Denied', message: 'no', exit_code: 2 })).slice(7)).toEqual([
      ['applied', false],
      ['error_type', 'Denied'],
      ['error', 'no'],
      ['exit_code', 2],
    ]);
    expect(failedLine(line, { type: 'Denied', message: 'no' })).not.toHaveProperty('exit_code');
  });
});
