import { INTERRUPTED } from './failure.js';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Signals that end a command: Ctrl-C, or a supervisor. */
export interface Interrupts {
  /** The first signal resolves it; until somebody waits for it, and from the second signal on, the process ends at once. */
  first(): Promise<void>;
  /** From now on any signal ends the process at once: nobody waits for the first one any more. */
  endAtOnce(): void;
  stop(): void;
}

/** Listens for signals. It ends the process by `exit`, so that handlers of its exit run. */
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
