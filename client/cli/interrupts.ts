import { INTERRUPTED } from './failure.js';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Handles signals that end a command: Ctrl-C, or a supervisor's. */
export interface Interrupts {
  /** Resolves at the first signal; until it is awaited, and from the second signal on, the process exits at once. */
  first(): Promise<void>;
  /** Lets any further signal end the process at once. */
  endAtOnce(): void;
  stop(): void;
}

/** Listens for signals. It ends the process by `exit`, so that exit handlers run. */
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
