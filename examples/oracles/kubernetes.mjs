#!/usr/bin/env node
// A usage oracle for houba that looks at the pods of a Kubernetes cluster. It needs Node 20 and nothing else.
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import https from 'node:https';
import { text } from 'node:stream/consumers';
import { parseArgs } from 'node:util';

const ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

const HELP = `Tells houba whether a pod uses an image: by the digest that the node reports, or the reference in the pod.

  HOUBA_USAGE_ORACLE_CMD='node /opt/houba/kubernetes.mjs'                                         in a pod
  HOUBA_USAGE_ORACLE_CMD='node /opt/houba/kubernetes.mjs --api-server http://127.0.0.1:8001'      beside kubectl proxy

  --api-server URL    (default https://kubernetes.default.svc)
  --namespace NAME    only the pods of this namespace (default all)
  --token-file PATH   a bearer token to present; only over https (default the pod's service account)
  --ca-file PATH      the CA (PEM) of the API server (default the pod's service account)
  --help              print this

The account needs to list pods. The question comes as JSON on standard input, the answer goes to standard output. It
sees what the cluster knows now: running pods, and ended ones that are still listed. When it sees no pod at all it
fails, and houba then keeps the image.
`;

const PAGE = 500;

async function answer({ digest, image_ref: reference, since }, settings) {
  if (!/^sha(256|512):[0-9a-f]+$/.test(digest)) throw new Error('the question has no digest');
  const from = Date.parse(since);
  if (Number.isNaN(from)) throw new Error('the question has no time "since"');
  let pods = 0;
  let lastSeen = Number.NEGATIVE_INFINITY;
  const users = [];
  let next = '';
  do {
    const page = await list(settings, next);
    for (const pod of page.items) {
      pods++;
      if (!uses(pod, digest, reference)) continue;
      lastSeen = Math.max(lastSeen, seenAt(pod));
      users.push(`${pod.metadata.namespace}/${pod.metadata.name}`);
    }
    next = page.metadata.continue ?? '';
  } while (next !== '');
  if (pods === 0) throw new Error('there is not one pod to be seen: check the namespace and the permissions');
  if (lastSeen < from) return { last_seen: null, detail: `none of ${pods} pods` };
  const more = users.length > 3 ? ` and ${users.length - 3} more` : '';
  return { last_seen: new Date(lastSeen).toISOString(), detail: `${users.slice(0, 3).join(', ')}${more}` };
}

function uses({ spec, status }, digest, reference) {
  const containers = [spec.containers, spec.initContainers, spec.ephemeralContainers].flatMap((list) => list ?? []);
  const asked = containers.map(({ image }) => image);
  const pulled = statusesOf(status).flatMap(({ image, imageID }) => [image, imageID]);
  return [...asked, ...pulled].some((image) => image === reference || image?.split('@').at(-1) === digest);
}

/** Now, for a pod that has not ended. */
function seenAt({ status }) {
  if (status.phase !== 'Succeeded' && status.phase !== 'Failed') return Date.now();
  const ends = statusesOf(status).map(({ state }) => Date.parse(state?.terminated?.finishedAt ?? ''));
  const known = ends.filter((end) => !Number.isNaN(end));
  return known.length === 0 ? Date.now() : Math.max(...known);
}

function statusesOf({ containerStatuses, initContainerStatuses, ephemeralContainerStatuses }) {
  return [containerStatuses, initContainerStatuses, ephemeralContainerStatuses].flatMap((list) => list ?? []);
}

async function list({ apiServer, namespace, token, ca }, next) {
  const path = namespace === undefined ? 'api/v1/pods' : `api/v1/namespaces/${encodeURIComponent(namespace)}/pods`;
  const url = new URL(path, apiServer.endsWith('/') ? apiServer : `${apiServer}/`);
  url.search = new URLSearchParams({ limit: String(PAGE), ...(next === '' ? {} : { continue: next }) }).toString();
  const secure = url.protocol === 'https:';
  const headers = { accept: 'application/json', 'user-agent': 'houba-usage-oracle' };
  if (secure) headers.authorization = `Bearer ${token}`;
  const response = await new Promise((resolve, reject) => {
    (secure ? https : http).get(url, { headers, ...(secure ? { ca } : {}) }, resolve).on('error', reject);
  });
  const body = await text(response);
  if (response.statusCode !== 200) throw new Error(`${url.origin} answers with status ${response.statusCode}`);
  return JSON.parse(body);
}

try {
  const { values } = parseArgs({
    options: {
      'api-server': { type: 'string', default: 'https://kubernetes.default.svc' },
      namespace: { type: 'string' },
      'token-file': { type: 'string', default: `${ACCOUNT}/token` },
      'ca-file': { type: 'string', default: `${ACCOUNT}/ca.crt` },
      help: { type: 'boolean' },
    },
  });
  if (values.help) process.stdout.write(HELP);
  else {
    const { 'api-server': apiServer, namespace } = values;
    const secure = apiServer.startsWith('https:');
    const token = secure ? (await readFile(values['token-file'], 'utf8')).trim() : null;
    const ca = secure ? await readFile(values['ca-file']) : null;
    const question = JSON.parse(await text(process.stdin));
    process.stdout.write(`${JSON.stringify(await answer(question, { apiServer, namespace, token, ca }))}\n`);
  }
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
