/** Ending a command early. */

/** A signal came; the command ends with the shell's exit code for it. */
export class StoppedError extends Error {
  override readonly name = 'StoppedError';
  readonly exitCode: number;

  constructor(signal: keyof typeof EXIT_CODES) {
    super(`stopped by ${signal}`);
    this.exitCode = EXIT_CODES[signal];
  }
}

/** 128 + the signal's number. */
const EXIT_CODES = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

/** Aborts at the first signal. A second one ends the process at once. */
export function stopOnSignals(): { readonly stop: AbortSignal; release(): void } {
  const controller = new AbortController();
  const onSignal = (signal: keyof typeof EXIT_CODES) => {
    if (controller.signal.aborted) process.exit(EXIT_CODES[signal]);
    controller.abort(new StoppedError(signal));
  };
  const signals = Object.keys(EXIT_CODES) as (keyof typeof EXIT_CODES)[];
  for (const signal of signals) process.on(signal, onSignal);
  return {
    stop: controller.signal,
    release: () => {
      for (const signal of signals) process.off(signal, onSignal);
    },
  };
}
