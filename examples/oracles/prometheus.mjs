#!/usr/bin/env node
// A usage oracle for houba that asks Prometheus, or what speaks its language. It needs Node 20 and nothing else.
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import https from 'node:https';
import { text } from 'node:stream/consumers';
import { parseArgs } from 'node:util';

const HELP = `Tells houba when an image was last seen in use, from a metric that carries the image's digest in a label:

  HOUBA_USAGE_ORACLE_CMD='node /opt/houba/prometheus.mjs --url http://prometheus.monitoring:9090'

  --url URL           where Prometheus is
  --metric NAME       the metric, one series for every running container (default kube_pod_container_info)
  --label NAME        its label whose value ends with the digest (default image_id)
  --token-file PATH   a bearer token to present; only over https
  --ca-file PATH      a CA (PEM) to trust for https, in place of the well-known ones
  --help              print this

The question comes as JSON on standard input, the answer goes to standard output. When the metric has no samples now, or
none as far back as houba asks, or the answer is a partial one, nothing can be told: that is a failure, and houba then
keeps the image.
`;

async function answer({ digest, since }, settings) {
  if (!/^sha(256|512):[0-9a-f]+$/.test(digest)) throw new Error('the question has no digest');
  const { metric, label } = settings;
  const now = Date.now() / 1000;
  const from = Date.parse(since) / 1000;
  if (Number.isNaN(from)) throw new Error('the question has no time "since"');
  for (const time of [now, from]) {
    if ((await query(settings, `count(${metric})`, time)) === null) {
      throw new Error(`${metric} has no samples at ${new Date(time * 1000).toISOString()}: nothing can be told`);
    }
  }
  const series = `${metric}{${label}=~".*${digest}"}`;
  const window = `${Math.round((now - from) * 1000)}ms`;
  if ((await query(settings, `count(count_over_time(${series}[${window}]))`, now)) === null) {
    return { last_seen: null, detail: `no ${metric} since ${since}` };
  }
  // Looking every five minutes is close enough for the time, but would miss a container that lived for less.
  const past = `max(max_over_time(timestamp(${series})[${window}:5m]))`;
  const seconds = await query(settings, `max(timestamp(${series})) or ${past}`, now);
  return { last_seen: new Date(Math.max(seconds ?? from, from) * 1000).toISOString(), detail: metric };
}

/** The value of the one series that the expression has, or null. */
async function query(settings, expression, time) {
  const url = new URL('api/v1/query', settings.url.endsWith('/') ? settings.url : `${settings.url}/`);
  const body = await post(url, new URLSearchParams({ query: expression, time: time.toFixed(3) }).toString(), settings);
  const { status, error, warnings = [], data } = JSON.parse(body);
  if (status !== 'success') throw new Error(`Prometheus says: ${error}`);
  if (warnings.length > 0) throw new Error(`Prometheus answers in part only: ${warnings.join('; ')}`);
  const [series] = data.result;
  if (series === undefined) return null;
  const value = Number(series.value[1]);
  if (!Number.isFinite(value)) throw new Error(`Prometheus gives ${series.value[1]} for ${expression}`);
  return value;
}

async function post(url, form, { token, ca }) {
  const secure = url.protocol === 'https:';
  const headers = { 'content-type': 'application/x-www-form-urlencoded', 'user-agent': 'houba-usage-oracle' };
  if (token !== null && secure) headers.authorization = `Bearer ${token}`;
  const response = await new Promise((resolve, reject) => {
    const options = { method: 'POST', headers, ...(ca === null ? {} : { ca }) };
    (secure ? https : http).request(url, options, resolve).on('error', reject).end(form);
  });
  const body = await text(response);
  // A refused expression comes as 400 with a reason in JSON.
  if (response.statusCode === 200 || response.statusCode === 400) return body;
  throw new Error(`${url.origin} answers with status ${response.statusCode}`);
}

try {
  const { values } = parseArgs({
    options: {
      url: { type: 'string' },
      metric: { type: 'string', default: 'kube_pod_container_info' },
      label: { type: 'string', default: 'image_id' },
      'token-file': { type: 'string' },
      'ca-file': { type: 'string' },
      help: { type: 'boolean' },
    },
  });
  if (values.help) process.stdout.write(HELP);
  else {
    if (values.url === undefined) throw new Error('--url is missing; see --help');
    const token = values['token-file'] === undefined ? null : (await readFile(values['token-file'], 'utf8')).trim();
    const ca = values['ca-file'] === undefined ? null : await readFile(values['ca-file']);
    const question = JSON.parse(await text(process.stdin));
    process.stdout.write(`${JSON.stringify(await answer(question, { ...values, token, ca }))}\n`);
  }
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
