import { describe, expect, it } from 'vitest';
import { aliasCollisions, outputCollisions, repositoryClashes, shardOf } from '../../../../domain/policy/ownership.js';

describe('repositoryClashes', () => {
  it('names both policies of one repository', () => {
    expect(
      repositoryClashes([
        { repository: 'h/lib/redis', policy: 'redis-clone' },
        { repository: 'h/lib/redis', policy: 'redis' },
        { repository: 'h/lib/valkey', policy: 'redis' },
        { repository: 'a/x', policy: '2' },
        { repository: 'a/x', policy: '1' },
      ]),
    ).toEqual([
      { repository: 'a/x', policies: ['1', '2'] },
      { repository: 'h/lib/redis', policies: ['redis', 'redis-clone'] },
    ]);
  });

  it('lets several imports of one policy share a repository', () => {
    const entry = { repository: 'h/lib/redis', policy: 'redis' };
    expect(repositoryClashes([entry, entry])).toEqual([]);
  });
});

describe('collisions of tags', () => {
  it('any second writer of an alias is one, even with the same target', () => {
    const latest = { repository: 'eu/lib/redis', alias: 'latest', target: '7.3.0' };
    expect(aliasCollisions([latest, latest])).toEqual([
      { repository: 'eu/lib/redis', tag: 'latest', writers: ['7.3.0', '7.3.0'] },
    ]);
  });

  it('the same alias in two repositories is none', () => {
    const alias = { alias: 'latest', target: '7.3.0' };
    expect(
      aliasCollisions([
        { repository: 'eu/redis', ...alias },
        { repository: 'us/redis', ...alias },
      ]),
    ).toEqual([]);
  });

  it('two variants that write one tag are one, and the result is sorted', () => {
    const write = (repository: string, tag: string, writer: string) => ({ repository, tag, writer });
    expect(
      outputCollisions([
        write('b', '1-eu', 'v1/plain'),
        write('a', '2', 'v1/plain'),
        write('b', '1-eu', 'v1/eu'),
        write('b', '1', 'v1/a'),
        write('b', '1', 'v1/b'),
        write('a', '2', 'v2/plain'),
      ]),
    ).toEqual([
      { repository: 'a', tag: '2', writers: ['v1/plain', 'v2/plain'] },
      { repository: 'b', tag: '1', writers: ['v1/a', 'v1/b'] },
      { repository: 'b', tag: '1-eu', writers: ['v1/plain', 'v1/eu'] },
    ]);
  });
});

describe('shardOf', () => {
  // Name, then its shard of 2, of 4 and of 1000: fixed for ever, or two shards would own one policy during an upgrade.
  it.each([
    ['redis', 1, 1, 857],
    ['busybox', 0, 2, 350],
    ['debian-tz', 1, 3, 799],
    ['debian-xz', 1, 1, 349],
    ['nginx', 0, 0, 128],
    ['postgres', 1, 1, 769],
    ['redis-hardened', 1, 3, 555],
    ['team/app', 0, 2, 770],
    ['valkey', 0, 2, 22],
    ['envoy', 1, 3, 663],
    ['etcd', 0, 2, 762],
    ['café', 1, 1, 649],
  ])('%s belongs to shard %d of 2, %d of 4, %d of 1000', (name, ofTwo, ofFour, ofThousand) => {
    expect([2, 4, 1000, 1].map((count) => shardOf(name, count))).toEqual([ofTwo, ofFour, ofThousand, 0]);
  });
});
