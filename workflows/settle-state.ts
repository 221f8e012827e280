import { condition, log, patched, setCurrentDetails, upsertSearchAttributes } from '@temporalio/workflow';
import type { Digest } from '../domain/digest.js';
import { TRY_AGAIN } from '../domain/durable/retry.js';
import type {
  Look,
  LookRequest,
  Observed,
  SettleResult,
  WaitDecision,
  WaitStatus,
  Withdrawal,
} from '../domain/durable/settle.js';
import { formatDuration } from '../domain/duration.js';
import { type HumanWord, wordProblem } from '../domain/human-word.js';
import { formatInstant } from '../domain/instant.js';
import {
  afterTaking,
  beginWait,
  exhausted,
  held,
  nextStep,
  observed,
  promoted,
  readNow,
  readyAtMs,
  released,
  type WaitState,
  type WaitStep,
  withdrawn,
} from '../domain/lifecycle/settle.js';
import type { Observation, Placement } from '../domain/plan/work.js';
import { formatRepository, formatTagged } from '../domain/reference.js';
import { failure } from './failures.js';
import type { PlacementResult } from './place-image.js';
import { waitAttributes } from './search-attributes.js';

export interface CarriedWait {
  readonly state: WaitState;
  readonly latest: Observation;
  readonly attempt: number;
  readonly lastError: string | null;
  readonly retryAtMs: number | null;
  /** Left out by earlier versions, as `released`. */
  readonly taken?: Taken | null;
  readonly released?: HumanWord | null;
}

type Taken = NonNullable<WaitStatus['taken']> & { readonly because: string };

/** The state of one tag's wait, beside the process of `settleTag`. What it means is decided in the domain. */
export class SettleState {
  private state: WaitState;
  private latest: Observation;
  private attempt: number;
  private lastError: string | null;
  private retryAtMs: number | null;
  private phase = 'starting';
  private phaseSince = Date.now();
  private attributes = '';
  /** Attempts that have ended. */
  private tried = 0;
  private closed = false;
  private taken: Taken | null;
  private released: HumanWord | null;

  constructor(
    first: Observation,
    carried: CarriedWait | undefined,
    private readonly mayLackSource: boolean,
  ) {
    this.latest = carried?.latest ?? notAhead(first);
    this.state = carried?.state ?? beginWait(first.digest, Date.parse(this.latest.at), first.placed);
    this.attempt = carried?.attempt ?? 0;
    this.lastError = carried?.lastError ?? null;
    this.retryAtMs = carried?.retryAtMs ?? null;
    this.taken = carried?.taken ?? null;
    this.released = carried?.released ?? null;
  }

  carry(): CarriedWait {
    const { state, latest, attempt, lastError, retryAtMs, taken, released } = this;
    return { state, latest, attempt, lastError, retryAtMs, taken, released };
  }

  /** Takes in what a run saw; late news change nothing. */
  observe(news: Observation): Observed {
    const seen = notAhead(news);
    const atMs = Date.parse(seen.at);
    if (atMs >= this.state.observedMs) {
      this.latest = seen;
      this.state = observed({ ...this.state, placed: seen.placed }, seen.digest, atMs);
    }
    const { dueAt } = this.status();
    return { readyAt: dueAt, reason: this.reason() };
  }

  withdraw({ at, folder }: Withdrawal): void {
    if (folder !== undefined && folder !== this.latest.folder) return;
    if (Date.parse(at) > Date.parse(this.latest.at)) this.state = withdrawn(this.state);
  }

  hold(word: WaitDecision): WaitStatus {
    this.state = held(this.state, wordOf(word));
    return this.status();
  }

  release(word: WaitDecision): WaitStatus {
    this.log('wait.released', { by: word.by, reason: word.reason });
    this.state = released(this.state);
    this.released = wordOf(word);
    return this.status();
  }

  /** @returns whether its attempt has ended, or the tag is held */
  promote(word: WaitDecision): () => boolean {
    const before = this.tried;
    this.state = promoted(this.state, word.digest, wordOf(word));
    this.retryAtMs = null;
    return () => this.tried > before || this.state.promoted === null;
  }

  /** Refuses times that are not finite: the SDK would wait for ever (docs/rules/stability.md#a-wait-has-an-end). */
  refuseBoundless({ windowMs, maxWaitMs, at }: Observation): void {
    if ([windowMs, maxWaitMs, Date.parse(at)].every((ms) => Number.isFinite(ms) && ms >= 0)) return;
    throw failure('PolicyInvalid', 'an observation needs a time, a window and a maximum wait');
  }

  refuseStale({ digest, ...word }: WaitDecision): void {
    if (this.closed) throw failure('PreconditionFailed', 'the wait is over');
    if (digest !== this.state.digest) {
      throw failure('PreconditionFailed', `upstream shows ${this.state.digest} by now, not ${digest}`);
    }
    const problem = wordProblem(word);
    if (problem !== null) throw failure('ConfigInvalid', problem);
  }

  refuseHold(word: WaitDecision): void {
    this.refuseStale(word);
    if (this.phase === 'placing') throw failure('PreconditionFailed', 'it is being taken over at this moment');
  }

  refuseRelease(word: WaitDecision): void {
    this.refuseStale(word);
    if (this.state.held === null) throw failure('PreconditionFailed', 'it is not held');
  }

  /** The next step of the wait; none for a while after a failed attempt. */
  next(): WaitStep {
    const now = Date.now();
    const step = nextStep(this.state, this.latest, now);
    const act = step.kind === 'take' || step.kind === 'choose';
    return act && this.retryAtMs !== null && now < this.retryAtMs ? { kind: 'wait', untilMs: this.retryAtMs } : step;
  }

  /**
   * Waits for the time or other work. Hourly news of the same digest do not wake it.
   * @param orWhen another reason to wake
   */
  async change({ untilMs }: { readonly untilMs: number | null }, orWhen: () => boolean): Promise<void> {
    const isOther = () => {
      const next = this.next();
      return next.kind !== 'wait' || next.untilMs !== untilMs || orWhen();
    };
    if (untilMs === null) return await condition(isOther);
    const summary = `${this.latest.placement.tag} is due at ${formatInstant(untilMs)}`;
    await condition(isOther, Math.max(1, untilMs - Date.now()), { summary });
  }

  question(): LookRequest {
    const { source, sourceTag, destination, tag, aliases } = this.latest.placement;
    const step = this.next();
    const candidates = step.kind === 'choose' ? step.among : step.kind === 'take' ? [step.digest] : [];
    return { source, sourceTag, destination, tag, aliases: aliases.map(({ alias }) => alias), candidates };
  }

  /** Chooses by what was read again; null: none, or not now. */
  choose(look: Look): Placement | null {
    const now = Date.now();
    this.state = { ...this.state, placed: look.placed };
    if (look.upstream !== null) {
      const isBehind = now < this.state.observedMs && patched('houba-004-clock-set-back');
      this.state = (isBehind ? readNow : observed)(this.state, look.upstream, now);
    }
    const step = nextStep(this.state, this.latest, now);
    if (step.kind === 'wait' || step.kind === 'end') return null;
    if (step.kind === 'take' && step.promoted !== null) {
      if (look.fetchable.includes(step.digest))
        return this.placement(look, step.digest, promotion(step.promoted), step.promoted);
      this.state = { ...this.state, promoted: null };
      return this.failed(`${step.digest}, which was promoted, can no longer be fetched`);
    }
    if (look.upstream === null && (step.kind === 'take' || !this.mayLackSource)) {
      return this.failed('the source no longer serves the tag');
    }
    if (step.kind === 'take') {
      return this.placement(look, step.digest, `it has stood still for ${formatDuration(this.latest.windowMs)}`, null);
    }
    const digest = step.among.find((one) => one === look.upstream || look.fetchable.includes(one));
    const over = `the maximum wait of ${formatDuration(this.latest.maxWaitMs)} is over`;
    if (digest === undefined) {
      this.state = exhausted(this.state, now);
      return this.failed(`${over}, and nothing that upstream showed can be fetched any more`);
    }
    return this.placement(look, digest, `${over}, and of what can be fetched it stood longest`, null);
  }

  failed(message: string): null {
    this.tried += 1;
    this.lastError = message;
    this.retryAtMs = Date.now() + TRY_AGAIN.placementMs;
    this.log('wait.failed', { error: message });
    return null;
  }

  /** @returns false: upstream has moved on, and the wait goes on */
  took(placement: Placement, { digest: outDigest }: PlacementResult): boolean {
    const { baseDigest: digest, settled: because = '', promoted: word = null } = placement;
    this.tried += 1;
    this.taken = { digest, outDigest, because, promoted: word };
    this.log('wait.taken', { digest, out_digest: outDigest, because });
    this.lastError = null;
    this.retryAtMs = null;
    const rest = afterTaking(this.state, digest);
    if (rest !== null) this.state = rest;
    return rest === null;
  }

  close(outcome: SettleResult['outcome']): SettleResult {
    this.closed = true;
    this.tried += 1;
    this.enter('ended');
    if (outcome === 'taken' && this.taken !== null) return { outcome, ...this.taken };
    return { outcome, digest: null, outDigest: null, promoted: null, because: ENDINGS[outcome] };
  }

  tell(step: WaitStep): void {
    if (step.kind === 'take' || step.kind === 'choose') this.enter('looking');
    if (step.kind !== 'wait') return;
    if (step.untilMs === null) this.enter('held');
    else this.enter(step.untilMs === this.retryAtMs ? 'retrying' : 'waiting');
  }

  enter(phase: string): void {
    if (phase === 'placing') this.attempt += 1;
    if (phase !== this.phase) this.phaseSince = Date.now();
    this.phase = phase;
    const { destination, tag, label } = this.latest.placement;
    const { digest, needsHuman } = this.state;
    const { dueAt } = this.status();
    const seen = { policy: label.policy, repository: formatRepository(destination), tag, digest, phase, dueAt };
    const attributes = JSON.stringify([seen, needsHuman]);
    if (attributes === this.attributes) return;
    this.attributes = attributes;
    upsertSearchAttributes(waitAttributes({ ...seen, dueAt: dueAt === null ? null : new Date(dueAt), needsHuman }));
    setCurrentDetails(
      `${phase}: ${digest}${dueAt === null ? '' : `, due at ${dueAt}`}${this.lastError === null ? '' : `\n\n${this.lastError}`}`,
    );
  }

  status(): WaitStatus {
    const { state, phase, attempt, lastError } = this;
    const readyMs = readyAtMs(state, this.latest);
    const dueMs = readyMs === null ? null : Math.max(readyMs, this.retryAtMs ?? 0);
    return {
      phase,
      since: formatInstant(this.phaseSince),
      digest: state.digest,
      standsSince: formatInstant(state.sinceMs),
      dueAt: dueMs === null ? null : formatInstant(dueMs),
      seenAt: formatInstant(Date.parse(this.latest.at)),
      policy: this.latest.placement.label.policy,
      folder: this.latest.folder ?? null,
      attempt,
      held: state.held,
      promoted: state.promoted && wordOf(state.promoted),
      taken: this.taken && withoutBecause(this.taken),
      ...(lastError === null ? {} : { lastError }),
    };
  }

  private reason(): string | null {
    const { held: word } = this.state;
    if (word !== null) return `held by ${word.by}: ${word.reason}`;
    const { lastError, taken, released: by } = this;
    if (lastError !== null) return lastError;
    if (taken !== null) return `${taken.digest} was taken over: ${taken.because}; upstream has moved on since`;
    return by === null ? null : `released by ${by.by}: ${by.reason}`;
  }

  private placement(look: Look, digest: Digest, settled: string, word: HumanWord | null): Placement {
    const { placement } = this.latest;
    const { current } = look;
    return {
      ...placement,
      baseDigest: digest,
      current,
      // A moved alias is the business of the next run.
      aliases: placement.aliases
        .filter(({ alias }) => look.aliases.includes(alias))
        .map(({ alias }) => ({ alias, current })),
      label: { ...placement.label, created: formatInstant(Date.now()) },
      settled,
      promoted: word,
    };
  }

  private log(event: string, facts: Readonly<Record<string, unknown>>): void {
    const { label, destination, tag } = this.latest.placement;
    log.info(event, {
      policy: label.policy,
      reference: formatTagged(destination, tag),
      digest: this.state.digest,
      ...facts,
    });
  }
}

const ENDINGS = {
  taken: '',
  withdrawn: 'the tag is waited for no more',
  returned: 'upstream shows again what is placed',
} as const;

/** A clock that is ahead would make later news look late. */
function notAhead(seen: Observation): Observation {
  const now = Date.now();
  return Date.parse(seen.at) <= now ? seen : { ...seen, at: formatInstant(now) };
}

function promotion({ by, reason }: HumanWord): string {
  return `promoted by ${by}: ${reason}`;
}

function withoutBecause({ because: _, ...taken }: Taken) {
  return taken;
}

function wordOf({ by, reason }: HumanWord): HumanWord {
  return { by, reason };
}
