import { pack } from 'tar-stream';
import type { LayerFile } from '../../domain/transform/step.js';

const START_OF_TIME = new Date(0);

/** Packs files and links into a layer: equal files, equal bytes. Without entries, directories keep their modes. */
export async function layerTar(files: readonly LayerFile[]): Promise<Buffer> {
  const archive = pack();
  const sorted = [...files].sort((a, b) => (a.path < b.path ? -1 : 1));
  for (const { path, content } of sorted) {
    const common = { name: path.replace(/^\/+/, ''), uid: 0, gid: 0, mtime: START_OF_TIME };
    if ('link' in content) {
      archive.entry({ ...common, type: 'symlink', mode: 0o777, linkname: content.link });
    } else {
      archive.entry({ ...common, type: 'file', mode: content.mode }, Buffer.from(content.bytes));
    }
  }
  archive.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of archive) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
