/** Tunes V8's garbage collector for answers of many MiB. */
import { setFlagsFromString } from 'node:v8';

/**
 * A full collection starts when heap and buffers have grown tenfold; V8's default is less.
 *
 * V8 counts the bytes of buffers as if they were on its heap. A service's own heap is 10 to 40 MB,
 * and the buffers of a few answers outgrow that many times a second: without this, a third of the
 * processor time of a student that only received went into collections that freed two answers
 * (bench/transport). The cost is memory: unreferenced buffers stay a bit longer.
 */
const GROWING_PERCENT = 900;

/** Call it first in a process that sends or receives answers. It also applies to its threads. */
export function expectBulkBuffers(): void {
  setFlagsFromString(`--heap-growing-percent=${GROWING_PERCENT}`);
}
