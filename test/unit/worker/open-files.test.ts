import { describe, expect, it } from 'vitest';
import { requireOpenFiles } from '../../../worker/open-files.js';

const limits = (most: string) =>
  `Limit                     Soft Limit           Hard Limit           Units\nMax open files            ${most}                 4096                 files\n`;

describe('the limit of open files', () => {
  it('is refused where a worker would die on the way', () => {
    const error = expect.objectContaining({ code: 'MachineFailed', hint: expect.stringContaining('ulimit -n') });
    expect(() => requireOpenFiles(limits('64'))).toThrow(error);
  });

  it.each(['256', '1048576', 'unlimited'])('may be %s', (most) => {
    expect(() => requireOpenFiles(limits(most))).not.toThrow();
  });

  it('is not known everywhere', () => {
    expect(() => requireOpenFiles('')).not.toThrow();
  });
});
