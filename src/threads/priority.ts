/** Lowers the priority of computing threads below that of the event loop. */
import { setPriority } from 'node:os';

/** Nice value of computing threads: enough to be preempted at once, harmless on a free core. */
const COMPUTING_NICENESS = 10;

/**
 * Call it at the top of a worker thread's module. On Linux it lowers the priority of the calling thread, and
 * threads that this one starts (TensorFlow's) inherit it, so the main thread with its event loop runs first
 * when cores are scarce. On other systems the priority is the whole process', so it does nothing.
 */
export function computeInBackground(): void {
  if (process.platform !== 'linux') return;
  try {
    setPriority(0, COMPUTING_NICENESS);
  } catch {
    // A container may forbid it; then all threads have equal priority.
  }
}
