// What a reader finds in the demo's registry with regctl and cosign alone: stamps, files, and evidence that verifies from the
// tag.
import { readFileSync } from 'node:fs';
import { DemoError } from './processes.mjs';

const CA_BUNDLE = '/etc/ssl/certs/ca-certificates.crt';
const STAMP = 'application/vnd.houba.stamp.v1+json';
/** cosign's words for SLSA v1 provenance and for SPDX documents. */
const EVIDENCE = ['slsaprovenance1', 'spdxjson'];

/**
 * @param regctl, cosign run the program with the given arguments, resolve with its output, or reject
 * @param keys as `keysIn` says
 */
export function lookingWith({ regctl, cosign, keys }) {
  const look = async (...args) => show('regctl', args, await regctl(...args));

  /** Steps, version, source and policy; then whatever is attached. */
  async function stamp(image) {
    await look('manifest', 'get', image, '--format', '{{jsonPretty .Annotations}}');
    await attached(image);
  }

  async function stampBeside(image) {
    const format = '{{range .Descriptors}}{{jsonPretty .Annotations}}{{end}}';
    await look('artifact', 'list', image, '--filter-artifact-type', STAMP, '--format', format);
  }

  async function attached(image) {
    const predicate = '{{with index .Annotations "dev.sigstore.bundle.predicateType"}}  {{.}}{{end}}';
    await look(
      'artifact',
      'list',
      image,
      '--format',
      `{{range .Descriptors}}{{.ArtifactType}}${predicate}{{println}}{{end}}`,
    );
  }

  async function timeZone(image) {
    await look('image', 'get-file', image, '/etc/timezone');
    await look('image', 'get-file', image, '/etc/localtime', '--format', '{{println .Header.Linkname}}');
  }

  async function trustStore(image) {
    const args = ['image', 'get-file', image, CA_BUNDLE];
    const certificates = pemBlocks(await regctl(...args));
    const [own] = pemBlocks(readFileSync(keys.ca, 'utf8'));
    if (!certificates.includes(own)) throw new DemoError(`${image} does not trust ${keys.ca}`);
    const place = `certificate ${certificates.indexOf(own) + 1} of ${certificates.length}`;
    show('regctl', args, `(the demo's CA, ${keys.ca}, is ${place})`);
  }

  /** Stock cosign, which knows nothing of houba, judges what the tag shows. Throws when it refuses. */
  async function evidence(image) {
    // A key of one's own and a registry on loopback: no transparency log, no TLS.
    const local = ['--insecure-ignore-tlog', '--allow-http-registry', '--allow-insecure-registry'];
    for (const type of EVIDENCE) {
      const args = ['verify-attestation', `--key=${keys.public}`, `--type=${type}`, ...local, image];
      const statements = (await cosign(...args))
        .split('\n')
        .filter((line) => line.startsWith('{'))
        .map((line) => JSON.parse(Buffer.from(JSON.parse(line).payload, 'base64').toString('utf8')));
      show('cosign', args, statements.map(summary).join('\n'));
    }
  }

  return { look, stamp, stampBeside, timeZone, trustStore, evidence };
}

/** The command as it can be typed, and what it says. */
function show(program, args, text) {
  const typed = args.map((arg) => (/[ {}"]/.test(arg) ? `'${arg}'` : arg)).join(' ');
  console.log(`\n$ ${program} ${typed}\n${text.trimEnd()}`);
}

function summary({ predicateType, subject, predicate }) {
  const subjects = subject.map(({ name, digest }) => `  subject  ${name}  sha256:${digest.sha256.slice(0, 12)}…`);
  const { buildDefinition: build, packages } = predicate;
  const facts = build
    ? [`  ${build.buildType}`, `  ${JSON.stringify(build.externalParameters)}`]
    : [`  ${packages?.length ?? 0} packages`];
  return [`verified  ${predicateType}`, ...subjects, ...facts].join('\n');
}

function pemBlocks(text) {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => block.replace(/\s/g, ''));
}
