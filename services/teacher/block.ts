/** Blocks this thread for the given time, as a computation would. */
export function block(milliseconds: number): void {
  if (milliseconds > 0) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
  }
}
