import type { Digest } from '../../domain/digest.js';
import type { Look, LookRequest } from '../../domain/durable/settle.js';
import type { Dependencies } from '../dependencies.js';
import { repositoryAt } from '../repository/repository-at.js';
import { step } from '../step.js';

/** Reads again what a wait relies on (docs/rules/stability.md#a-timer-is-a-hint). @throws HoubaError as reading does */
export function createSurveyWaitingTag(deps: Dependencies) {
  return step(async (request: LookRequest, { signal }): Promise<Look> => {
    const { source, sourceTag, destination, tag } = request;
    // GET, because its bytes are hashed: a digest whose manifest cannot be served has not stood its window.
    const upstream = (await deps.reader.getManifest(source, sourceTag, signal))?.digest ?? null;
    const at = repositoryAt(deps, destination, signal);
    const from = repositoryAt(deps, source, signal);
    const current = await at.head(tag);
    const stamp = current === null ? null : await at.stampOf(await at.manifest(current), tag);
    const placed = stamp?.baseDigest ?? null;
    const aliases: string[] = [];
    for (const alias of request.aliases) {
      if ((await at.head(alias)) === current) aliases.push(alias);
    }
    const fetchable: Digest[] = [];
    for (const digest of request.candidates) {
      // An original stays at the destination; one that never came there can only be had from the source.
      const isServed = digest === upstream || (await from.find(digest)) !== null || (await at.head(digest)) !== null;
      if (isServed) fetchable.push(digest);
    }
    return { upstream, current, placed, aliases, fetchable };
  });
}
