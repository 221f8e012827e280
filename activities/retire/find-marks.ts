import pLimit from 'p-limit';
import type { Digest } from '../../domain/digest.js';
import { failedOutcome, type MarkedTag, outcomeOf } from '../../domain/durable/retire.js';
import type { SweepCursor } from '../../domain/durable/sweeps.js';
import { type ReportedError, reportError } from '../../domain/errors.js';
import type { PlacedMark } from '../../domain/lifecycle/mark.js';
import { PAGE_SIZES } from '../../domain/plan/work.js';
import { isEvidenceTag, isTag } from '../../domain/reference.js';
import type { PurgeOutcome } from '../../domain/report/purge-report.js';
import type { DestinationRepository } from '../../domain/roster.js';
import { compareText } from '../../domain/text/compare-text.js';
import type { Dependencies } from '../dependencies.js';
import { repositoryAt } from '../repository/repository-at.js';
import { step } from '../step.js';
import { type FindRequest, walkRepositories } from '../sweep/walk-registries.js';

export interface MarksPage {
  readonly found: readonly MarkedTag[];
  /** Outcomes that are final: marks that never purge, and what could not be read. */
  readonly settled: readonly PurgeOutcome[];
  readonly next: SweepCursor | null;
}

/** Finds tags with a deletion mark, a page at a time. What cannot be read is an outcome and stops nothing else. */
export function createFindMarks(deps: Dependencies) {
  return step(async (request: FindRequest, context): Promise<MarksPage> => {
    const found: MarkedTag[] = [];
    const settled: PurgeOutcome[] = [];
    for await (const place of walkRepositories(deps, request, context)) {
      if ('error' in place) {
        settled.push(place.known ? unread(place.name, place.error) : unknown(place.name, place.error));
        continue;
      }
      const { repository, after } = place;
      try {
        for await (const one of marksIn(deps, repository, after, context.signal)) {
          if ('decision' in one) settled.push(one);
          else found.push(one);
          if (found.length < PAGE_SIZES.sweep || !('tag' in one)) continue;
          return { found, settled, next: { registry: repository.registry, path: repository.path, tag: one.tag } };
        }
      } catch (error) {
        context.signal.throwIfAborted();
        settled.push(unread(`${repository.host}/${repository.path}`, reportError(error)));
      }
      if (settled.length < PAGE_SIZES.sweep) continue;
      return { found, settled, next: { registry: repository.registry, path: repository.path, tag: null } };
    }
    return { found, settled, next: null };
  });
}

/** Lists the marked tags of one repository in the order of their names, and marks that never purge. */
async function* marksIn(
  deps: Dependencies,
  destination: DestinationRepository,
  after: string | null,
  signal: AbortSignal,
): AsyncGenerator<MarkedTag | PurgeOutcome> {
  const { reader, settings } = deps;
  const at = repositoryAt(deps, destination, signal);
  const limit = pLimit(settings.maxConcurrency);
  const listed = ((await reader.listTags(destination, signal)) ?? [])
    .filter((tag) => isTag(tag) && !isEvidenceTag(tag))
    .filter((tag) => after === null || compareText(tag, after) > 0)
    .sort(compareText);
  const marks = new Map<Digest, Promise<PlacedMark[]>>();
  const marksOn = (digest: Digest): Promise<PlacedMark[]> => {
    const known = marks.get(digest);
    if (known !== undefined) return known;
    const asked = at.marks(digest);
    marks.set(digest, asked);
    return asked;
  };
  const look = async (tag: string): Promise<MarkedTag | PurgeOutcome | null> => {
    const digest = (await reader.headListed(destination, tag, signal))?.digest ?? null;
    if (digest === null) return null;
    const pending = (await marksOn(digest)).filter(({ mark }) => mark.state === 'pending-deletion');
    const own = pending.find(({ mark }) => mark.tag === tag);
    if (own !== undefined) return { destination, tag, digest, policy: own.mark.identity.policy };
    if (!pending.some(({ mark }) => mark.tag === null)) return null;
    const reason = 'its mark names no tag, so nobody can tell which one was meant';
    return outcomeOf({ destination, tag, digest, policy: '' }, { act: 'end', digest, reason, gone: false });
  };
  for (let start = 0; start < listed.length; start += PAGE_SIZES.sweep) {
    const looked = listed.slice(start, start + PAGE_SIZES.sweep).map((tag) => limit(() => look(tag)));
    for (const one of await Promise.all(looked)) if (one !== null) yield one;
  }
}

function unknown(name: string, error: ReportedError): PurgeOutcome {
  return { ...unread(name, error), reason: `it was not looked at: ${error.message}`, error: null };
}

function unread(name: string, error: ReportedError): PurgeOutcome {
  const place = { destination: { registry: '', host: '', path: '' }, tag: '', digest: null, policy: '' };
  return { ...failedOutcome(place, error), image_ref: name, reason: 'it could not be read' };
}
