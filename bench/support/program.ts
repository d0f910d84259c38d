/** The frame of a program in this folder: what it throws becomes a line for the reader and an exit code. */
import { describeFault } from '../../services/program/exitCode.js';

/** For whoever waits; the results go to standard output. */
export function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

/**
 * Ends the process where `main` throws: by the table of services/program/exitCode.ts, with a stack where nobody
 * foresaw it (1). A reader who has read enough (`| head`) is no fault.
 */
export async function runMain(name: string, main: () => Promise<void> | void): Promise<void> {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  try {
    await main();
  } catch (error) {
    const { exitCode, message } = describeFault(error);
    const stack = exitCode === 1 && error instanceof Error ? error.stack : undefined;
    say(`${name}: ${stack ?? message}`);
    // By way of 'exit', so that the processes that it measures end too.
    process.exit(exitCode);
  }
}

/** By way of 'exit', too. */
export function endOnSignals(): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => process.exit(1));
  }
}
