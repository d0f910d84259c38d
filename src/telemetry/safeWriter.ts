/** Writing to a terminal, pipe or file that may go away. */

/** Where lines go; a terminal, a file, or a progress bar that prints above itself. */
export interface LineSink {
  readonly isTTY?: boolean;
  write(line: string): unknown;
  on?(event: 'error', listener: (error: Error) => void): unknown;
}

/**
 * Writes to the stream until it breaks, then to nobody. Never throws: a service doesn't end because
 * somebody closed its terminal, or because the reader of its log ended.
 */
export function safeWriter(stream: LineSink): (text: string) => void {
  let broken = false;
  // A closed pipe reports itself by an event, which without a listener would end the process.
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
