import pLimit from 'p-limit';
import type { Digest } from '../../domain/digest.js';
import { HoubaError } from '../../domain/errors.js';
import { imagesOf, type ManifestGraph } from '../../domain/lifecycle/manifest-graph.js';
import { combineAnswers, type UsageAnswer, usageQuestion } from '../../domain/lifecycle/usage.js';
import { formatPinned } from '../../domain/reference.js';
import type { DestinationRepository } from '../../domain/roster.js';
import type { Dependencies } from '../dependencies.js';
import { repositoryAt } from '../repository/repository-at.js';
import type { StepContext } from '../step.js';

/** The idle window of purge, ms. @throws HoubaError `ConfigInvalid` when none is set: there is no default on purpose */
export function purgeWindow({ settings }: Dependencies): number {
  if (settings.purgeMinIdleMs !== null && settings.purgeMinIdleMs > 0) return settings.purgeMinIdleMs;
  throw new HoubaError('ConfigInvalid', 'purge needs to know how long a tag must be unused', {
    hint: 'set HOUBA_PURGE_MIN_IDLE, as in 30d',
  });
}

const ASKED_AT_ONCE = 4;

interface PlacedDigest {
  readonly repository: DestinationRepository;
  readonly digest: Digest;
  readonly graph: ManifestGraph;
  /** Use that was seen within this time counts, ms. */
  readonly windowMs: number;
}

/** Asks the oracle about a digest without a tag: is it, its original, or one of their platforms in use? */
export async function askAboutPlaced(
  deps: Dependencies,
  { repository, digest, graph, windowMs }: PlacedDigest,
  context: StepContext,
): Promise<UsageAnswer> {
  const at = repositoryAt(deps, repository, context.signal);
  const stamp = await at.stampOf(await at.manifest(digest), null);
  const identity = { policy: stamp?.policy ?? '', import: stamp?.import ?? '', variant: stamp?.variant ?? '' };
  const digests = imagesOf(graph, digest, 'cut');
  const since = Date.now();
  return askAll(deps, digests, context, (one) =>
    usageQuestion(one, formatPinned(repository, digest), identity, since, windowMs),
  );
}

export async function askAll(
  deps: Dependencies,
  digests: readonly Digest[],
  { signal, progress }: StepContext,
  question: (digest: Digest) => ReturnType<typeof usageQuestion>,
): Promise<UsageAnswer> {
  const oracle = deps.openOracle();
  const limit = pLimit(ASKED_AT_ONCE);
  const answers: UsageAnswer[] = [];
  await Promise.all(
    digests.map((digest) =>
      limit(async () => {
        // One sighting of any digest is enough (docs/rules/purge.md#any-sighting-protects).
        if (answers.some(({ kind }) => kind === 'seen')) return;
        answers.push(await oracle.ask(question(digest), signal));
        progress({ asked: answers.length });
      }),
    ),
  );
  return combineAnswers(answers);
}
