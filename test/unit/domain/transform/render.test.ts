import { describe, expect, it } from 'vitest';
import { renderDockerfile } from '../../../../domain/transform/render.js';

describe('the Dockerfile of a rebuild', () => {
  it('adds the files and variables of each step to the base, and runs nothing', () => {
    const text = renderDockerfile([
      { step: 'injectCA', tar: '1-injectCA.tar', env: {} },
      { step: 'setTimezone', tar: '2-setTimezone.tar', env: { TZ: 'Europe/Paris', A: 'b' } },
      { step: 'injectCA', tar: null, env: {} },
    ]);
    expect(text.split('\n')).toEqual([
      'FROM base',
      '# injectCA',
      'ADD 1-injectCA.tar /',
      '# setTimezone',
      'ADD 2-setTimezone.tar /',
      'ENV TZ="Europe/Paris"',
      'ENV A="b"',
      '# injectCA',
      '',
    ]);
  });

  it('lets no value be more than a value', () => {
    const env = { A: '$HOME "x" \\n $B #' };
    expect(renderDockerfile([{ step: 's', tar: null, env }])).toContain('ENV A="\\$HOME \\"x\\" \\\\n \\$B #"\n');
    expect(() => renderDockerfile([{ step: 's', tar: null, env: { A: 'b\nRUN c' } }])).toThrow('more than one line');
  });
});
