import type { Digest } from '../../domain/digest.js';
import type { Look, LookRequest } from '../../domain/durable/settle.js';
import { readStamp } from '../../domain/stamp/annotations.js';
import { stampOf } from '../../domain/stamp/stamp-of.js';
import type { Dependencies } from '../dependencies.js';
import { readManifest } from '../repository/read-manifest.js';
import { step } from '../step.js';

/**
 * Reads again, before a wait acts, everything that it relies on: the source tag, the output tag with its stamp and the
 * aliases that go with it, and which of the digests seen can still be fetched.
 *
 * Throws what reading a registry throws.
 */
export function createSurveyWaitingTag(deps: Dependencies) {
  return step(async (request: LookRequest, { signal }): Promise<Look> => {
    const { source, sourceTag, destination, tag } = request;
    // A GET, whose bytes are checked: what nobody is served has not stood still for anybody.
    const upstream = (await deps.reader.getManifest(source, sourceTag, signal))?.digest ?? null;
    const current = (await deps.reader.headManifest(destination, tag, signal))?.digest ?? null;
    const placed = current === null ? null : await recordedBase(deps, request, current, signal);
    const aliases: string[] = [];
    for (const alias of request.aliases) {
      const shown = (await deps.reader.headManifest(destination, alias, signal))?.digest ?? null;
      if (shown === current) aliases.push(alias);
    }
    const fetchable: Digest[] = [];
    for (const digest of request.candidates) {
      if (digest === upstream || (await isServed(deps, request, digest, signal))) fetchable.push(digest);
    }
    return { upstream, current, placed, aliases, fetchable };
  });
}

async function recordedBase(
  { reader, settings }: Dependencies,
  { destination, tag }: LookRequest,
  current: Digest,
  signal: AbortSignal,
): Promise<Digest | null> {
  const { manifest } = await readManifest(reader, destination, current, signal);
  const stamp = readStamp(manifest.annotations, settings.prefix);
  if (stamp !== null || settings.prefix === '') return stamp?.baseDigest ?? null;
  const referrers = await reader.listReferrers(destination, current, {}, signal);
  return stampOf(manifest, referrers, tag, settings.prefix)?.baseDigest ?? null;
}

/** An original stays at the destination; what never came there can only be had from the source. */
async function isServed(
  { reader }: Dependencies,
  { source, destination }: LookRequest,
  digest: Digest,
  signal: AbortSignal,
): Promise<boolean> {
  if ((await reader.headManifest(source, digest, signal)) !== null) return true;
  return (await reader.headManifest(destination, digest, signal)) !== null;
}
