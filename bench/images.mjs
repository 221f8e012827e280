import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';

/**
 * Small real images with pairwise different layers: an os-release and a dpkg status file that names one package of
 * its own version, so that syft finds a distribution and a package in each.
 */

export const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json';

/**
 * @returns {{config: Buffer, layer: Buffer, manifest: Buffer, digest: string}} the bytes of image number `number` of
 * `repository`; `digest` is the manifest's. The same arguments give the same bytes.
 */
export function makeImage(repository, number) {
  const tar = makeTar([
    ['etc/os-release', 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n'],
    ['var/lib/dpkg/status', dpkgStatus(number)],
    ['etc/image', `${repository} ${number}\n`],
  ]);
  const layer = gzipSync(tar, { level: 1 });
  const config = json({
    architecture: 'amd64',
    os: 'linux',
    created: '2026-01-01T00:00:00Z',
    config: { Cmd: ['/bin/true'] },
    rootfs: { type: 'layers', diff_ids: [digestOf(tar)] },
    history: [{ created: '2026-01-01T00:00:00Z', created_by: 'bench' }],
  });
  const manifest = json({
    schemaVersion: 2,
    mediaType: MANIFEST_TYPE,
    config: descriptor('application/vnd.oci.image.config.v1+json', config),
    layers: [descriptor('application/vnd.oci.image.layer.v1.tar+gzip', layer)],
  });
  return { config, layer, manifest, digest: digestOf(manifest) };
}

/** A referrer as an SBOM is attached: empty config, one layer, the subject's descriptor. */
export function makeReferrer({ subject, subjectSize, type, document, annotations }) {
  return json({
    schemaVersion: 2,
    mediaType: MANIFEST_TYPE,
    artifactType: type,
    config: descriptor('application/vnd.oci.empty.v1+json', EMPTY),
    layers: [descriptor(type, document)],
    subject: { mediaType: MANIFEST_TYPE, digest: subject, size: subjectSize },
    annotations,
  });
}

/** The empty configuration blob of the image specification. */
export const EMPTY = Buffer.from('{}');

export function digestOf(bytes) {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

function descriptor(mediaType, bytes) {
  return { mediaType, digest: digestOf(bytes), size: bytes.length };
}

function json(value) {
  return Buffer.from(JSON.stringify(value));
}

function dpkgStatus(number) {
  const fields = [
    'Package: tiny',
    'Status: install ok installed',
    'Maintainer: Nobody <nobody@example.org>',
    'Architecture: amd64',
    `Version: 1.${number}-1`,
    'Description: a package for measuring',
  ];
  return `${fields.join('\n')}\n\n`;
}

/** A ustar archive of regular files: a header block, the content padded to 512 bytes, two empty blocks at the end. */
function makeTar(files) {
  const blocks = [];
  for (const [name, text] of files) {
    const content = Buffer.from(text);
    const header = Buffer.alloc(512);
    header.write(name, 0);
    header.write('0000644\0', 100);
    header.write('0000000\0', 108);
    header.write('0000000\0', 116);
    header.write(`${content.length.toString(8).padStart(11, '0')}\0`, 124);
    header.write('00000000000\0', 136);
    header.write('        ', 148);
    header.write('0', 156);
    header.write('ustar\x0000', 257);
    let sum = 0;
    for (const byte of header) sum += byte;
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    blocks.push(header, content, Buffer.alloc((512 - (content.length % 512)) % 512));
  }
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}
