import { INTERRUPTED } from './failure.js';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Ctrl-C, or a supervisor that stops us. */
export interface Interrupts {
  /** The first signal resolves it; until somebody waits for it, and from the second signal on, the process ends at once. */
  first(): Promise<void>;
  /** From now on any signal ends the process at once: nobody waits for the first one any more. */
  endAtOnce(): void;
  stop(): void;
}

/** Listens from now on. Ends the process in its own words, so that what it has registered for its exit is done. */
export function watchInterrupts(): Interrupts {
  let tell: (() => void) | null = null;
  let happened = false;
  const listener = () => {
    if (tell === null || happened) process.exit(INTERRUPTED);
    happened = true;
    tell();
  };
  for (const signal of SIGNALS) process.on(signal, listener);
  return {
    first: () =>
      new Promise((resolve) => {
        tell = resolve;
      }),
    endAtOnce: () => {
      tell = null;
    },
    stop: () => {
      for (const signal of SIGNALS) process.off(signal, listener);
    },
  };
}
