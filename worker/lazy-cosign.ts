import pLimit from 'p-limit';
import type { Cosign } from '../adapters/cosign.js';
import type { Settings } from '../config/settings.js';
import { onDemand } from './on-demand.js';
import { openCosign } from './open-cosign.js';

/** Opens cosign at the first signature, and bounds its processes, for each takes 125 MB. */
export function lazyCosign(settings: Settings, workDir: string, most: number): Cosign {
  const open = onDemand(() => openCosign(settings, workDir));
  const limit = pLimit(most);
  return {
    signStatement: (...args) => limit(async () => (await open()).signStatement(...args)),
    verifyBundle: (...args) => limit(async () => (await open()).verifyBundle(...args)),
    verifyBlob: (...args) => limit(async () => (await open()).verifyBlob(...args)),
    publicKey: (...args) => limit(async () => (await open()).publicKey(...args)),
    publicKeyFile: (...args) => limit(async () => (await open()).publicKeyFile(...args)),
  };
}
