import http from 'node:http';
import { SBOM_MEDIA_TYPES, sbomAnnotations } from '../dist/domain/evidence/sbom.js';
import { stampAnnotations } from '../dist/domain/stamp/annotations.js';
import { stampManifest } from '../dist/domain/stamp/manifest.js';
import { digestOf, EMPTY, MANIFEST_TYPE, makeImage, makeReferrer } from './images.mjs';

/** Pushes in flight at once. */
const IN_FLIGHT = 16;
const PREFIX = 'io.houba';
const CREATED = '2026-01-02T03:04:05.000000+00:00';
const SBOM_TYPE = SBOM_MEDIA_TYPES['spdx-json'];

export function tagOf(number) {
  return `1.${number}.0`;
}

/** Images 0 to `count` - 1 of `repository`, each under a tag of its own. */
export async function fillPlain(host, repository, count) {
  const push = pusher(host);
  await forEachNumber(count, async (number) => {
    const image = makeImage(repository, number);
    await pushImage(push, repository, image, tagOf(number));
  });
  push.close();
}

/** The same as `regsync` leaves it, with one SBOM a tag: as many referrers as houba's side has. */
export async function fillCopied(host, repository, count, sbom) {
  const push = pusher(host);
  await push.blob(repository, EMPTY);
  await forEachNumber(count, async (number) => {
    const image = makeImage(repository, number);
    await pushImage(push, repository, image, tagOf(number));
    await pushSbom(push, repository, image.manifest, sbom);
  });
  push.close();
}

/**
 * The same exactly as houba leaves it, by houba's own functions: the original manifest untagged, the stamped one
 * tagged, the SBOM a referrer of the stamped one.
 * @param sourceHost the upstream that the stamp names
 */
export async function fillPlaced(host, repository, count, sbom, sourceHost, policy) {
  const push = pusher(host);
  await push.blob(repository, EMPTY);
  await forEachNumber(count, async (number) => {
    const image = makeImage(repository, number);
    const stamp = {
      source: { host: sourceHost, path: repository },
      sourceTag: tagOf(number),
      baseDigest: image.digest,
      revision: null,
      created: CREATED,
      artifactType: 'image',
      policy,
      import: 'all',
      variant: 'default',
      owners: [],
      vendor: null,
      transformSteps: [],
      transformVersion: null,
      platforms: null,
      supersedes: null,
    };
    const stamped = stampManifest(image.manifest, MANIFEST_TYPE, stampAnnotations(stamp, PREFIX), PREFIX);
    await pushImage(push, repository, image, image.digest);
    await push.manifest(repository, stamped.digest, stamped.bytes);
    await pushSbom(push, repository, stamped.bytes, sbom);
    await push.manifest(repository, tagOf(number), stamped.bytes);
  });
  push.close();
}

async function pushImage(push, repository, image, reference) {
  await Promise.all([push.blob(repository, image.config), push.blob(repository, image.layer)]);
  await push.manifest(repository, reference, image.manifest);
}

/** @param sbom a document that syft made of image 0, and the version of syft; each image gets one of its own */
async function pushSbom(push, repository, subjectBytes, sbom) {
  const subject = digestOf(subjectBytes);
  const document = Buffer.from(sbom.text.replaceAll(sbom.digest, subject));
  const annotations = sbomAnnotations(
    { format: 'spdx-json', platform: 'linux/amd64', subject, toolVersion: sbom.toolVersion, timestamp: CREATED },
    PREFIX,
  );
  const bytes = makeReferrer({ subject, subjectSize: subjectBytes.length, type: SBOM_TYPE, document, annotations });
  await push.blob(repository, document);
  await push.manifest(repository, digestOf(bytes), bytes);
}

/** A client that only pushes: one POST a blob, one PUT a manifest, over connections kept open. */
function pusher(host) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: IN_FLIGHT });
  const [hostname, port] = host.split(':');
  const send = (method, path, type, body) =>
    new Promise((resolve, reject) => {
      const headers = { 'content-type': type, 'content-length': body.length };
      const request = http.request({ agent, hostname, port, method, path, headers }, (response) => {
        const text = [];
        response.on('data', (chunk) => text.push(chunk));
        response.on('end', () => {
          if (response.statusCode === 201) return resolve();
          reject(new Error(`${method} ${path}: ${response.statusCode} ${Buffer.concat(text)}`));
        });
      });
      request.on('error', reject);
      request.end(body);
    });
  return {
    blob: (repository, bytes) =>
      send('POST', `/v2/${repository}/blobs/uploads/?digest=${digestOf(bytes)}`, 'application/octet-stream', bytes),
    manifest: (repository, reference, bytes) =>
      send('PUT', `/v2/${repository}/manifests/${reference}`, MANIFEST_TYPE, bytes),
    close: () => agent.destroy(),
  };
}

/** Calls `work` for 0 to `count` - 1, several at once. */
async function forEachNumber(count, work) {
  let next = 0;
  const lane = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: Math.min(IN_FLIGHT, count) }, lane));
}
