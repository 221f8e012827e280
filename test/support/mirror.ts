import { type CountingProxy, startCountingProxy } from './counting-proxy.js';
import { type RunningRegistry, startOlareg } from './registries.js';
import { createHouba, type Houba, type PolicyOptions, type RegctlReader, regctlReader } from './stack.js';

/** An upstream, a registry to write to, what counts the requests that houba makes there, and houba. */
export interface Mirror {
  readonly upstream: RunningRegistry;
  readonly registry: RunningRegistry;
  /** The roster's `main`, and its `again`. */
  readonly proxy: CountingProxy;
  readonly houba: Houba;
  /** Reads both registries. */
  readonly regctl: RegctlReader;
  /** A folder with one policy named like its repository, upstream and below `demo/`. */
  policy(name: string, more?: Partial<PolicyOptions>): string;
  dispose(): Promise<void>;
}

export async function startMirror(
  create = createHouba,
  start: () => Promise<RunningRegistry> = startOlareg,
): Promise<Mirror> {
  const started: (() => Promise<unknown>)[] = [];
  const dispose = async () => {
    for (const stop of started.splice(0).reverse()) await stop();
  };
  try {
    const upstream = await startOlareg({ inMemory: true });
    started.push(() => upstream.stop());
    const registry = await start();
    started.push(() => registry.stop());
    const proxy = await startCountingProxy(registry.host);
    started.push(() => proxy.stop());
    const houba = await create({
      up: { host: upstream.host, tls_verify: false },
      main: { host: proxy.host, tls_verify: false },
      again: { host: proxy.host, tls_verify: false },
    });
    started.push(() => houba.dispose());
    const regctl = regctlReader(houba.folder, [registry.host, upstream.host]);
    const policy = (name: string, more: Partial<PolicyOptions> = {}) =>
      houba.policies({ name, from: `${upstream.host}/${name}`, to: [`main:demo/${name}`], ...more });
    return { upstream, registry, proxy, houba, regctl, policy, dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}
