/** A bench's end by a signal. */

/** By way of 'exit', so that the processes that it measures end too. */
export function endOnSignals(): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => process.exit(1));
  }
}
