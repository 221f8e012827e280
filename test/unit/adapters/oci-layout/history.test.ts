import { describe, expect, it } from 'vitest';
import { settleHistory } from '../../../../adapters/oci-layout/history.js';

const OURS = { created_by: 'ADD 1-injectCA.tar / # buildkit', comment: 'buildkit.dockerfile.v0' };
const MADE_UP = { created_by: '[2/4] ADD 2-another.tar /', comment: 'buildkit.exporter.image.v0' };
const OF_BASE = { created_by: 'a base', comment: 'buildkit.exporter.image.v0' };
const created = '2024-01-01T00:00:00Z';

describe('the history of what was built', () => {
  it('stays as it is when every layer has its line', () => {
    const config = { created, history: [OF_BASE, OURS] };
    expect(settleHistory(config, 1)).toBe(config);
    expect(settleHistory({}, 0)).toEqual({});
  });

  it.each([
    ['of a base without any', 0, [], 1],
    ['of a base that tells of some', 1, [OF_BASE], 2],
  ])('says of the layers %s what they are, before what we added', (_, baseLines, before, missing) => {
    const made = Array.from({ length: missing }, () => MADE_UP);
    const { history } = settleHistory({ created, history: [...before, OURS, ...made] }, baseLines);
    const line = { created, created_by: 'a layer of the base' };
    expect(history).toEqual([...before, ...made.map(() => line), OURS]);
  });

  it('names no time where the image has none', () => {
    expect(settleHistory({ history: [MADE_UP] }, 0).history).toEqual([{ created_by: 'a layer of the base' }]);
  });
});
