import { describe, expect, it } from 'vitest';
import { alignProxies } from '../../../config/environment.js';

describe('alignProxies', () => {
  it.each([
    ['sets the upper case', { https_proxy: 'p' }, { https_proxy: 'p', HTTPS_PROXY: 'p' }],
    ['sets the lower case', { NO_PROXY: 'a' }, { NO_PROXY: 'a', no_proxy: 'a' }],
    ['lets the lower case win', { http_proxy: 'p', HTTP_PROXY: 'q' }, { http_proxy: 'p', HTTP_PROXY: 'p' }],
    ['takes an empty one for none', { http_proxy: '', HTTP_PROXY: 'q' }, { http_proxy: 'q', HTTP_PROXY: 'q' }],
    ['leaves the rest alone', { PATH: '/bin' }, { PATH: '/bin' }],
  ])('%s', (_, before, after) => {
    const environment: Record<string, string | undefined> = { ...before };
    alignProxies(environment);
    expect(environment).toEqual(after);
  });
});
