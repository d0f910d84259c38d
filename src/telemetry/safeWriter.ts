/** Writes to a terminal, pipe or file that may be closed at any time. */

/** A destination for lines: a terminal, a file, or a progress bar that prints above itself. */
export interface LineSink {
  readonly isTTY?: boolean;
  write(line: string): unknown;
  on?(event: 'error', listener: (error: Error) => void): unknown;
}

/**
 * Writes to the stream until it breaks, then discards the text. Never throws: a service doesn't end
 * because its terminal was closed or the reader of its log ended.
 */
export function safeWriter(stream: LineSink): (text: string) => void {
  let broken = false;
  // A closed pipe emits an error event, which would end the process without a listener.
  stream.on?.('error', () => {
    broken = true;
  });
  return (text) => {
    if (broken) return;
    try {
      stream.write(text);
    } catch {
      broken = true;
    }
  };
}
