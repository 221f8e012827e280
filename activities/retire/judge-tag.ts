import pLimit from 'p-limit';
import type { Digest } from '../../domain/digest.js';
import type { Judgement, MarkedTag } from '../../domain/durable/retire.js';
import { imagesOf, type ManifestGraph } from '../../domain/lifecycle/manifest-graph.js';
import { pendingMark } from '../../domain/lifecycle/mark.js';
import { judgeUse } from '../../domain/lifecycle/purge.js';
import { combineAnswers, type UsageAnswer, usageQuestion } from '../../domain/lifecycle/usage.js';
import type { DestinationRepository } from '../../domain/plan/work.js';
import { formatPinned, formatTagged } from '../../domain/reference.js';
import { readStamp, stampsBeside } from '../../domain/stamp/annotations.js';
import { createGraphReader } from '../deletion/manifest-graph.js';
import type { Dependencies } from '../dependencies.js';
import { readManifest } from '../repository/read-manifest.js';
import { type StepContext, step } from '../step.js';
import { purgeWindow } from '../sweep/walk-registries.js';
import { lookAtMark } from './look-at-mark.js';

/** Oracles at a time for one tag. */
const ASKED_AT_ONCE = 4;

/**
 * What is to be done about a marked tag now: a look at everything that decides, and where that would let it go, the
 * question who uses it.
 *
 * Throws `ConfigInvalid` without an idle window or an oracle, and what reading a registry throws.
 */
export function createJudgeTag(deps: Dependencies) {
  const graphs = createGraphReader(deps);
  return step(async (marked: MarkedTag, context): Promise<Judgement> => {
    const { judgement, subject } = await lookAtMark(deps, marked, context.signal);
    if (subject === null || judgement.act !== 'delete') return judgement;
    const { destination, tag } = marked;
    const { digest, marks } = subject;
    const windowMs = purgeWindow(deps);
    const identity = pendingMark(marks, tag)?.mark.identity ?? { policy: '', import: '', variant: '' };
    const digests = imagesOf(await graphs.read(destination, [digest], [], context.signal), digest);
    const since = Date.now();
    const answer = await askAll(deps, digests, context, (one) =>
      usageQuestion(one, formatTagged(destination, tag), identity, since, windowMs),
    );
    const nowMs = Date.now();
    const { decision, reason, askAgainMs } = judgeUse(answer, nowMs, windowMs);
    if (decision === 'purge' || askAgainMs === null) return { ...judgement, reason, askedAtMs: since };
    const why = decision === 'protect' ? 'seen' : 'unknown';
    return { act: 'wait', why, digest, untilMs: askAgainMs, reason };
  });
}

/**
 * Whether a digest that no tag shows any more is in use: it, the original beside it, or one of their platforms.
 *
 * @param graph with all that is reached from it
 * @param windowMs seen within this time
 */
export async function askAboutPlaced(
  deps: Dependencies,
  repository: DestinationRepository,
  digest: Digest,
  graph: ManifestGraph,
  windowMs: number,
  context: StepContext,
): Promise<UsageAnswer> {
  const { reader, settings } = deps;
  const { manifest } = await readManifest(reader, repository, digest, context.signal);
  const referrers = await reader.listReferrers(repository, digest, {}, context.signal);
  const stamp = readStamp(manifest.annotations, settings.prefix) ?? stampsBeside(referrers, settings.prefix)[0]?.stamp;
  const identity = { policy: stamp?.policy ?? '', import: stamp?.import ?? '', variant: stamp?.variant ?? '' };
  const digests = imagesOf(graph, digest, 'cut');
  const since = Date.now();
  return askAll(deps, digests, context, (one) =>
    usageQuestion(one, formatPinned(repository, digest), identity, since, windowMs),
  );
}

async function askAll(
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
        // One sighting is use: the rest need not be asked.
        if (answers.some(({ kind }) => kind === 'seen')) return;
        answers.push(await oracle.ask(question(digest), signal));
        progress({ asked: answers.length });
      }),
    ),
  );
  return combineAnswers(answers);
}
