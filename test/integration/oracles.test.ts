import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createUsageOracle } from '../../adapters/usage-oracle.js';
import { childEnvironment, readEnvironment } from '../../config/environment.js';
import { digestOf } from '../../domain/digest.js';
import type { UsageAnswer } from '../../domain/lifecycle/usage.js';
import { makeCertificate } from '../support/certificates.js';
import { type FakeRegistry, type FakeRequest, startFakeRegistry } from '../support/fake-registry.js';

const DIGEST = digestOf(new TextEncoder().encode('an image'));
const OTHER = digestOf(new TextEncoder().encode('another image'));
const REFERENCE = 'harbor.example/lib/redis:7.2';
const DAY = 86_400_000;
const TOKEN = 'correct-horse-battery';

let folder = '';
let server: FakeRegistry;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'houba-oracles-'));
  server = await startFakeRegistry();
});
afterEach(async () => {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

function script(name: string): string {
  return fileURLToPath(new URL(`../../examples/oracles/${name}.mjs`, import.meta.url));
}

/** Asks as purge does: was it seen within the last 30 days? */
function ask(name: string, args: string): Promise<UsageAnswer> {
  const oracle = createUsageOracle({
    command: `"${process.execPath}" "${script(name)}" ${args}`,
    timeoutMs: 20_000,
    workDir: join(folder, 'work'),
    environment: childEnvironment(readEnvironment()),
  });
  const identity = { policy: 'redis', import: 'v7', variant: 'default' };
  return oracle.ask({ digest: DIGEST, image_ref: REFERENCE, identity, since: ago(30 * DAY) });
}

function ago(ms: number): string {
  return new Date(Date.now() - ms).toISOString().replace('Z', '+00:00');
}

function unknown(detail: string): UsageAnswer {
  return { kind: 'unknown', detail: expect.stringContaining(detail) };
}

/** A sighting within a minute of this many milliseconds ago. */
function seen(msAgo: number, detail: string) {
  return {
    kind: 'seen',
    atMs: expect.closeTo(Date.now() - msAgo, -5),
    detail: expect.stringContaining(detail),
  };
}

describe.each(['file', 'prometheus', 'kubernetes'])('the oracle %s', (name) => {
  it('tells what it does and which options it takes', async () => {
    const { stdout } = await execa(process.execPath, [script(name), '--help']);
    expect(stdout).toContain('HOUBA_USAGE_ORACLE_CMD=');
    expect(stdout).toMatch(/^ {2}--help/m);
  });

  it('fails with a sentence on an option that it does not know', async () => {
    expect(await ask(name, '--colour blue')).toEqual(unknown('--colour'));
  });
});

describe('the oracle file', () => {
  async function inventory(content: unknown): Promise<string> {
    const path = join(folder, 'seen images.json');
    await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content));
    return `--file "${path}"`;
  }

  it('tells when the digest was seen', async () => {
    const file = await inventory({ generated_at: ago(0), seen: { [DIGEST]: ago(DAY), [OTHER]: ago(0) } });
    expect(await ask('file', file)).toEqual(seen(DAY, 'inventory of'));
  });

  it('tells that it is not in the list, or was there before the window only', async () => {
    expect(await ask('file', await inventory({ generated_at: ago(0), seen: { [OTHER]: ago(0) } }))).toMatchObject({
      kind: 'unseen',
    });
    const old = await inventory({ generated_at: ago(0), seen: { [DIGEST]: ago(31 * DAY) } });
    expect(await ask('file', old)).toMatchObject({ kind: 'unseen', detail: expect.stringContaining('last seen 20') });
  });

  it.each([
    ['is broken', '{"seen":', 'JSON'],
    ['does not say when it was made', { seen: {} }, 'generated_at is not a time'],
    ['is too old', { generated_at: ago(2 * DAY), seen: {} }, 'too long ago'],
    ['is from the future', { generated_at: ago(-DAY), seen: { [OTHER]: ago(0) } }, 'is to come'],
    ['has no list', { generated_at: ago(0) }, 'no object "seen"'],
    ['has another kind of list', { generated_at: ago(0), seen: [OTHER] }, 'no object "seen"'],
    ['lists nothing at all', { generated_at: ago(0), seen: {} }, 'lists nothing'],
    ['gives the digest no time', { generated_at: ago(0), seen: { [DIGEST]: true } }, 'not a time: true'],
  ])('cannot tell when the file %s', async (_, content, why) => {
    expect(await ask('file', await inventory(content))).toEqual(unknown(why));
  });

  it('cannot tell without a file', async () => {
    expect(await ask('file', '--file /nowhere/seen.json')).toEqual(unknown('ENOENT'));
    expect(await ask('file', '')).toEqual(unknown('--file is missing'));
  });

  it('takes an older file when it is told to', async () => {
    const file = await inventory({ generated_at: ago(2 * DAY), seen: { [OTHER]: ago(2 * DAY) } });
    expect(await ask('file', `${file} --max-age 3d`)).toMatchObject({ kind: 'unseen' });
    expect(await ask('file', `${file} --max-age soon`)).toEqual(unknown('--max-age takes'));
  });
});

describe('the oracle prometheus', () => {
  const QUERY = 'POST /api/v1/query';

  function vector(...values: readonly number[]): string {
    const result = values.map((value) => ({ metric: {}, value: [Date.now() / 1000, String(value)] }));
    return JSON.stringify({ status: 'success', data: { resultType: 'vector', result } });
  }

  /** Answers what was asked: is the metric there, now and then, and when was the image seen. */
  function answer(facts: { now?: string; before?: string; image?: string; time?: string }): void {
    server.on(QUERY, ({ body }: FakeRequest) => {
      const form = new URLSearchParams(body);
      const query = form.get('query') ?? '';
      if (query.startsWith('count(count_over_time(')) return { body: facts.image ?? vector() };
      if (query.startsWith('max(')) return { body: facts.time ?? vector() };
      const isNow = Number(form.get('time')) > Date.now() / 1000 - 60;
      return { body: (isNow ? facts.now : facts.before) ?? vector(42) };
    });
  }

  it('tells when a container with the digest was last seen', async () => {
    answer({ image: vector(1), time: vector((Date.now() - 3 * DAY) / 1000) });
    expect(await ask('prometheus', `--url ${server.url}`)).toEqual(seen(3 * DAY, 'kube_pod_container_info'));
  });

  it('asks for the digest, over the whole window and up to now', async () => {
    answer({});
    expect(await ask('prometheus', `--url ${server.url}/ --metric running --label image`)).toMatchObject({
      kind: 'unseen',
    });
    const [now, before, any] = server.requests.map(({ body }) => new URLSearchParams(body));
    expect([now?.get('query'), before?.get('query')]).toEqual(['count(running)', 'count(running)']);
    expect(Number(before?.get('time'))).toBeCloseTo(Number(now?.get('time')) - 30 * 86_400, -1);
    expect(any?.get('query')).toMatch(
      new RegExp(`^count\\(count_over_time\\(running\\{image=~"\\.\\*${DIGEST}"\\}\\[2592\\d{6}ms\\]\\)\\)$`),
    );
  });

  it('finds a container that lived too shortly for its time to be found', async () => {
    answer({ image: vector(1), time: vector() });
    expect(await ask('prometheus', `--url ${server.url}`)).toEqual(seen(30 * DAY, 'kube_pod_container_info'));
  });

  it.each([
    ['the metric has no samples now', { now: vector() }, 'has no samples at'],
    ['its history does not reach back to the beginning of the window', { before: vector() }, 'has no samples at'],
    [
      'a store behind it did not answer',
      { image: JSON.stringify({ status: 'success', warnings: ['store is down'], data: { result: [] } }) },
      'in part only: store is down',
    ],
    [
      'the query is refused',
      { image: JSON.stringify({ status: 'error', error: 'too many samples' }) },
      'too many samples',
    ],
    ['it gives no number', { image: vector(Number.NaN) }, 'NaN'],
    ['it answers with something else', { image: 'a login page' }, 'JSON'],
  ])('cannot tell when %s', async (_, facts, why) => {
    answer(facts);
    expect(await ask('prometheus', `--url ${server.url}`)).toEqual(unknown(why));
  });

  it('cannot tell when nobody answers, or not with 200', async () => {
    server.on(QUERY, { status: 503, body: vector() });
    expect(await ask('prometheus', `--url ${server.url}`)).toEqual(unknown('status 503'));
    expect(await ask('prometheus', '--url http://127.0.0.1:9')).toEqual(unknown('ECONNREFUSED'));
    expect(await ask('prometheus', '')).toEqual(unknown('--url is missing'));
  });

  it('presents its token over https only', async () => {
    const { caFile, key, cert } = await makeCertificate(folder);
    const token = join(folder, 'token');
    await writeFile(token, `${TOKEN}\n`);
    const secure = await startFakeRegistry({ key, cert });
    try {
      secure.on(QUERY, { body: vector(Date.now() / 1000) });
      answer({});
      const options = `--token-file ${token} --ca-file ${caFile}`;
      expect(await ask('prometheus', `--url ${secure.url} ${options}`)).toMatchObject({ kind: 'seen' });
      expect(secure.requests[0]?.headers.authorization).toBe(`Bearer ${TOKEN}`);
      await ask('prometheus', `--url ${server.url} ${options}`);
      expect(server.requests[0]?.headers.authorization).toBeUndefined();
      expect(await ask('prometheus', `--url ${secure.url}`)).toEqual(unknown('certificate'));
    } finally {
      await secure.stop();
    }
  });
});

interface PodFacts {
  readonly image?: string;
  readonly imageID?: string;
  readonly phase?: string;
  readonly finishedAt?: string;
}

describe('the oracle kubernetes', () => {
  const PODS = 'GET /api/v1/pods';

  function pod(name: string, { image = 'elsewhere/x:1', imageID = '', phase = 'Running', finishedAt }: PodFacts = {}) {
    const state = finishedAt === undefined ? {} : { terminated: { finishedAt } };
    return {
      metadata: { namespace: 'team-a', name },
      spec: { containers: [{ image }] },
      status: { phase, containerStatuses: [{ image, imageID, state }] },
    };
  }

  function page(items: readonly unknown[], next = ''): { body: string } {
    return { body: JSON.stringify({ metadata: next === '' ? {} : { continue: next }, items }) };
  }

  function askPods(...pods: readonly unknown[]): Promise<UsageAnswer> {
    server.on(PODS, page(pods));
    return ask('kubernetes', `--api-server ${server.url}`);
  }

  it.each([
    ['by the digest that the node pulled', { imageID: `harbor.example/lib/redis@${DIGEST}` }],
    ['in another registry, too', { imageID: `docker-pullable://mirror.example/redis@${DIGEST}` }],
    ['by the digest in the pod, before it is pulled', { image: `harbor.example/lib/redis@${DIGEST}` }],
    ['by the tag, when the node reports something else', { image: REFERENCE, imageID: 'docker://sha256:0000' }],
  ])('sees that a running pod uses the image: %s', async (_, facts) => {
    expect(await askPods(pod('db'), pod('web', facts))).toEqual(seen(0, 'team-a/web'));
  });

  it('sees init and debug containers', async () => {
    const init = { ...pod('init'), status: { phase: 'Pending', initContainerStatuses: [{ imageID: `x@${DIGEST}` }] } };
    const debug = {
      ...pod('debug'),
      status: { phase: 'Running', ephemeralContainerStatuses: [{ imageID: `x@${DIGEST}` }] },
    };
    expect(await askPods(init)).toMatchObject({ kind: 'seen' });
    expect(await askPods(debug)).toMatchObject({ kind: 'seen' });
  });

  it('takes the end of a pod that has ended for its last use', async () => {
    const facts = { imageID: `x@${DIGEST}`, phase: 'Succeeded' };
    expect(await askPods(pod('job', { ...facts, finishedAt: ago(DAY) }))).toEqual(seen(DAY, 'team-a/job'));
    expect(await askPods(pod('job', { ...facts, finishedAt: ago(31 * DAY) }))).toMatchObject({ kind: 'unseen' });
    expect(await askPods(pod('job', facts))).toEqual(seen(0, 'team-a/job'));
  });

  it('tells that no pod uses it, and how many it saw', async () => {
    expect(await askPods(pod('web', { imageID: `x@${OTHER}` }), pod('db'))).toEqual({
      kind: 'unseen',
      detail: 'none of 2 pods',
    });
  });

  it('looks at every page, and names some of many', async () => {
    const users = Array.from({ length: 5 }, (_, index) => pod(`web-${index}`, { imageID: `x@${DIGEST}` }));
    server.on(`${PODS}?limit=500`, page([pod('db')], 'page 2'));
    server.on(`${PODS}?limit=500&continue=page+2`, page(users));
    const answer = await ask('kubernetes', `--api-server ${server.url}`);
    expect(answer).toEqual(seen(0, 'team-a/web-0, team-a/web-1, team-a/web-2 and 2 more'));
  });

  it('looks at one namespace when it is told to', async () => {
    server.on('GET /api/v1/namespaces/team-a/pods', page([pod('db')]));
    expect(await ask('kubernetes', `--api-server ${server.url} --namespace team-a`)).toMatchObject({ kind: 'unseen' });
  });

  it('cannot tell when it sees no pod at all, may not look, or a page is missing', async () => {
    expect(await askPods()).toEqual(unknown('not one pod'));
    server.on(PODS, { status: 403, body: '{"kind":"Status"}' });
    expect(await ask('kubernetes', `--api-server ${server.url}`)).toEqual(unknown('status 403'));
    server.on(PODS, page([pod('db')], 'gone'), { status: 410 });
    expect(await ask('kubernetes', `--api-server ${server.url}`)).toEqual(unknown('status 410'));
    expect(await ask('kubernetes', '')).toEqual(unknown('ENOENT'));
  });

  it('presents its account over https, to a server that its CA vouches for', async () => {
    const { caFile, key, cert } = await makeCertificate(folder);
    const token = join(folder, 'token');
    await writeFile(token, `${TOKEN}\n`);
    const secure = await startFakeRegistry({ key, cert });
    try {
      secure.on(PODS, page([pod('db')]));
      const answer = await ask('kubernetes', `--api-server ${secure.url} --token-file ${token} --ca-file ${caFile}`);
      expect(answer).toMatchObject({ kind: 'unseen' });
      expect(secure.requests[0]?.headers.authorization).toBe(`Bearer ${TOKEN}`);
    } finally {
      await secure.stop();
    }
  });
});
