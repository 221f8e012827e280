import { extract } from 'tar-stream';
import { describe, expect, it } from 'vitest';
import { layerTar } from '../../../../adapters/buildctl/layer-tar.js';
import type { LayerFile } from '../../../../domain/transform/step.js';

const bytes = (text: string) => new TextEncoder().encode(text);
const FILES: readonly LayerFile[] = [
  { path: '/usr/local/share/ca-certificates/corp.crt', content: { bytes: bytes('PEM'), mode: 0o600 } },
  { path: '/etc/localtime', content: { link: '/usr/share/zoneinfo/Europe/Rome' } },
  { path: `/etc/${'long/'.repeat(60)}Grüße`, content: { bytes: bytes(''), mode: 0o644 } },
];

async function read(archive: Buffer) {
  const entries = extract();
  entries.end(archive);
  const found = [];
  for await (const entry of entries) {
    const chunks: Buffer[] = [];
    for await (const chunk of entry) chunks.push(chunk as Buffer);
    const { name, type, mode, uid, gid, mtime, linkname } = entry.header;
    found.push({
      name,
      type,
      mode,
      uid,
      gid,
      mtime: mtime.getTime(),
      linkname,
      text: Buffer.concat(chunks).toString(),
    });
  }
  return found;
}

describe('the archive of a layer', () => {
  it('has the files and links in the order of their paths, owned by root, without directories', async () => {
    const common = { uid: 0, gid: 0, mtime: 0, linkname: null };
    expect(await read(await layerTar(FILES))).toEqual([
      {
        ...common,
        name: 'etc/localtime',
        type: 'symlink',
        mode: 0o777,
        linkname: '/usr/share/zoneinfo/Europe/Rome',
        text: '',
      },
      { ...common, name: `etc/${'long/'.repeat(60)}Grüße`, type: 'file', mode: 0o644, text: '' },
      { ...common, name: 'usr/local/share/ca-certificates/corp.crt', type: 'file', mode: 0o600, text: 'PEM' },
    ]);
  });

  it('is the same for the same files, in whatever order they come', async () => {
    expect(await layerTar([...FILES].reverse())).toEqual(await layerTar(FILES));
  });
});
