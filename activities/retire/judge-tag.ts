import type { Judgement, MarkedTag } from '../../domain/durable/retire.js';
import { imagesOf } from '../../domain/lifecycle/manifest-graph.js';
import { pendingMark } from '../../domain/lifecycle/mark.js';
import { judgeUse } from '../../domain/lifecycle/retire.js';
import { usageQuestion } from '../../domain/lifecycle/usage.js';
import { formatTagged } from '../../domain/reference.js';
import { askAll, purgeWindow } from '../deletion/ask-oracle.js';
import { createGraphReader } from '../deletion/manifest-graph.js';
import type { Dependencies } from '../dependencies.js';
import { step } from '../step.js';
import { lookAtMark } from './look-at-mark.js';

/**
 * Judges a marked tag and, where all else lets it go, asks the oracle (docs/rules/purge.md#use-is-asked-at-the-end).
 * @throws HoubaError `ConfigInvalid` without an idle window or an oracle, and what reading a registry throws
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
