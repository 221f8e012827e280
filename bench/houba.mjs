import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import { dataConverter } from '../dist/config/payload-codec.js';
import { timed } from './measure.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const HOUBA = join(ROOT, 'bin', 'houba');

/** Placements, and requests per registry host, in flight: as many as regsync gets. */
export const IN_FLIGHT = 8;

export function policyName(repository) {
  return repository.replaceAll('/', '-');
}

/** A folder with one policy a repository: every tag of `from`, to the same path at the roster's `main`. */
export function writePolicies(folder, from, repositories) {
  mkdirSync(folder, { recursive: true });
  for (const repository of repositories) {
    const [project, name] = repository.split('/');
    const policy = {
      apiVersion: 'houba.io/v1alpha1',
      kind: 'MirrorPolicy',
      metadata: { name: policyName(repository) },
      spec: {
        artifactType: 'image',
        source: { registry: from, repository },
        imports: [{ name: 'all', tags: {}, destinations: [{ registry: 'main', project, repository: name }] }],
      },
    };
    // JSON is YAML.
    writeFileSync(join(folder, `${policyName(repository)}.yaml`), `${JSON.stringify(policy, null, 2)}\n`);
  }
  return folder;
}

/**
 * Starts an embedded stack that stays, in a folder of its own.
 * @param home what `HOUBA_HOME` is to be
 * @param nodeArguments for the process with the worker
 */
export async function startStack(home, from, to, nodeArguments = []) {
  const environment = {
    ...cleanEnvironment(),
    HOUBA_HOME: home,
    HOUBA_WORK_DIR: join(home, 'work'),
    HOUBA_MAX_CONCURRENCY: String(IN_FLIGHT),
    HOUBA_LOG_LEVEL: 'WARN',
    HOUBA_REGISTRIES: JSON.stringify({
      upstream: { host: from, tls_verify: false },
      main: { host: to, tls_verify: false },
    }),
  };
  await timed(process.execPath, [...nodeArguments, HOUBA, 'up'], environment);
  const { owner, address, namespace } = JSON.parse(readFileSync(join(home, 'stack.json'), 'utf8'));
  const connection = await Connection.connect({ address });
  const client = new Client({ connection, namespace, dataConverter });
  return {
    pid: owner.pid,
    /** @returns {Promise<{seconds: number, totals: Record<string, number>}>} */
    async reconcile(policies) {
      const args = ['reconcile', policies, '-j', String(IN_FLIGHT), '--output', 'json'];
      const { seconds, stdout } = await timed(HOUBA, args, environment);
      return { seconds, totals: JSON.parse(stdout).totals };
    },
    /** Events of the runs of a workflow id or type that started after `since`: how many runs, their sum, the most. */
    async events(query, since) {
      const lengths = [];
      for await (const run of client.workflow.list({ query: `${query} AND StartTime >= '${since.toISOString()}'` })) {
        const { historyLength } = await client.workflow.getHandle(run.workflowId, run.runId).describe();
        lengths.push(historyLength);
      }
      return { runs: lengths.length, sum: lengths.reduce((a, b) => a + b, 0), most: Math.max(0, ...lengths) };
    },
    async stop() {
      await connection.close();
      await timed(HOUBA, ['down'], environment);
    },
  };
}

/** None of the caller's own settings may change what is measured. */
function cleanEnvironment() {
  const names = Object.keys(process.env).filter((name) => /^(HOUBA|TEMPORAL|SYFT)_|^POLICY_DIR$/.test(name));
  return Object.fromEntries(names.map((name) => [name, undefined]));
}
