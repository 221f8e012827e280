import { concatBytes, utf8ToBytes } from '@noble/hashes/utils.js';
import { z } from 'zod';
import { bundledCertificates, type Certificate, readCertificates } from './certificates.js';
import { type ImageFiles, type LayerFile, replaceFile } from './image-files.js';
import type { StepKind, TransformResources } from './step.js';

/** OpenSSL's directory of certificates: a folder on Debian and Alpine, a link elsewhere. */
const DIRECTORY = '/etc/ssl/certs';

/** The bundle of Debian and Alpine, which programs of other distributions read too. */
const USUAL_BUNDLE = `${DIRECTORY}/ca-certificates.crt`;

/** The bundles of all distributions; several may be one file. */
const BUNDLES = [
  USUAL_BUNDLE,
  '/etc/ssl/cert.pem',
  // Red Hat
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/pki/tls/cert.pem',
  // SUSE
  '/etc/ssl/ca-bundle.pem',
  '/var/lib/ca-certificates/ca-bundle.pem',
  // Arch, Nix
  '/etc/ca-certificates/extracted/tls-ca-bundle.pem',
  '/etc/ssl/certs/ca-bundle.crt',
];

/** Where `update-ca-certificates` finds certificates of one's own. */
const OWN = '/usr/local/share/ca-certificates';

/** The same for Red Hat, SUSE and Arch. */
const ANCHORS = [
  '/etc/pki/ca-trust/source/anchors',
  '/etc/pki/trust/anchors',
  '/etc/ca-certificates/trust-source/anchors',
];

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;

/** Adds certificates to the bundles of the image, or to a new one, where they are missing. Java key stores stay. */
export const injectCA: StepKind<{ certs: string[] }> = {
  name: 'injectCA',
  params: z.strictObject({
    certs: z
      .array(
        z.string('must be text').regex(NAME, 'is not a name: letters, digits, . _ and -, at most 100'),
        'must be a list of names',
      )
      .min(1, 'must name at least one certificate'),
  }),
  resources({ certs }, configured) {
    return certs.map((name) => {
      const content = configured.caCert(name);
      readCertificates(name, content);
      return { apk: null, apt: null, content, filename: fileName(name), kind: 'caCert', name };
    });
  },
  wantedPaths({ certs }) {
    const sources = [OWN, ...ANCHORS].flatMap((folder) => certs.map((name) => `${folder}/${fileName(name)}`));
    return [...BUNDLES, `${DIRECTORY}/`, ...sources];
  },
  apply({ certs }, configured, image) {
    const named = [...new Set(certs)].map((name) => readNamed(name, configured));
    const folders = [OWN, ...ANCHORS.filter((folder) => image.resolve(folder).kind === 'directory')];
    const places = new Set(folders.map((folder) => image.resolve(folder).path));
    const sources = named.flatMap(({ file, certificates }) => {
      const text = utf8ToBytes(certificates.map(({ pem }) => pem).join(''));
      return [...places].flatMap((place) => replaceFile(image, `${place}/${file}`, text));
    });

    const present = new Set(
      BUNDLES.map((path) => image.resolve(path))
        .filter(({ kind }) => kind === 'file')
        .map(({ path }) => path),
    );
    const certificates = named.flatMap((one) => one.certificates);
    const bundles = [...(present.size > 0 ? present : [USUAL_BUNDLE])].flatMap((path) =>
      replaceFile(image, path, withCertificates(image.read(path) ?? new Uint8Array(), certificates)),
    );

    const files = [...sources, ...bundles];
    const hashed = present.size === 0 || image.list(DIRECTORY).some((name) => /^[0-9a-f]{8}\.\d+$/.test(name));
    return { files: hashed ? [...files, ...hashLinks(named, image.with(files))] : files, env: {} };
  },
};

interface Named {
  readonly file: string;
  readonly certificates: readonly Certificate[];
}

function readNamed(name: string, configured: TransformResources): Named {
  return { file: fileName(name), certificates: readCertificates(name, configured.caCert(name)) };
}

function fileName(name: string): string {
  return `${name}.crt`;
}

function withCertificates(bundle: Uint8Array, certificates: readonly Certificate[]): Uint8Array {
  const held = bundledCertificates(bundle);
  const missing = new Set(certificates.filter(({ base64 }) => !held.has(base64)).map(({ pem }) => pem));
  if (missing.size === 0) return bundle;
  const gap = bundle.length === 0 || bundle.at(-1) === NEWLINE ? '' : '\n';
  return concatBytes(bundle, utf8ToBytes(gap + [...missing].join('')));
}

const NEWLINE = 0x0a;

/** OpenSSL's links: hash of the subject and the first free number. */
function hashLinks(named: readonly Named[], image: ImageFiles): LayerFile[] {
  const directory = image.resolve(DIRECTORY).path;
  const taken = new Map(image.list(directory).map((name) => [name, `${directory}/${name}`]));
  const links: LayerFile[] = [];
  for (const { file, certificates } of named) {
    const target = image.resolve(`${OWN}/${file}`).path;
    for (const { subjectHash, base64 } of certificates) {
      let number = 0;
      let there = taken.get(`${subjectHash}.0`);
      while (there !== undefined && !bundledCertificates(image.read(there) ?? new Uint8Array()).has(base64)) {
        number += 1;
        there = taken.get(`${subjectHash}.${number}`);
      }
      if (there !== undefined) continue;
      taken.set(`${subjectHash}.${number}`, target);
      links.push({ path: `${directory}/${subjectHash}.${number}`, content: { link: target } });
    }
  }
  return links;
}
