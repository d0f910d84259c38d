/** Lets a thread that computes give way to the ones that answer. */
import { setPriority } from 'node:os';

/** Nice value of computing threads: enough to be preempted at once, no harm on a free core. */
const COMPUTING_NICENESS = 10;

/**
 * For the top of a worker thread's module. On Linux the priority is that of the calling thread, and
 * threads that it starts (TensorFlow's) inherit it, so the main thread with its event loop goes
 * first where cores are scarce. Elsewhere it's that of the process, so nothing is done there.
 */
export function computeInBackground(): void {
  if (process.platform !== 'linux') return;
  try {
    setPriority(0, COMPUTING_NICENESS);
  } catch {
    // A container may forbid it; then threads compete as equals.
  }
}
