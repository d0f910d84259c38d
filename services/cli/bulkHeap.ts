/** V8's garbage collector beside answers of many MiB. */
import { setFlagsFromString } from 'node:v8';

/**
 * A full collection comes when heap and buffers have grown tenfold, where V8 would take less.
 *
 * V8 counts the bytes of buffers as if they were on its heap. A service's own heap is 10 to 40 MB,
 * and the buffers of a few answers outgrow that many times a second: without this, a third of the
 * processor time of a student that only received went into collections that freed two answers
 * (bench/transport). What it costs is memory: buffers that nobody holds any more stay a bit longer.
 */
const GROWING_PERCENT = 900;

/** For a process that sends or takes answers; best before it has begun. Holds for its threads too. */
export function expectBulkBuffers(): void {
  setFlagsFromString(`--heap-growing-percent=${GROWING_PERCENT}`);
}
